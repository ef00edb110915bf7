select one from setting for no key update
