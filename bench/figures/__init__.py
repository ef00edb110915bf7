"""The figures of the table, one file each, in the order of the table."""

from bench.figures import (
    p01_purchases,
    p02_pgbench,
    p03_redemptions,
    p04_upload,
    p05_import,
    p06_expiry,
    p07_beside_expiry,
    p08_balances,
    p09_growth,
    p10_rules,
    p11_half_rate,
    p12_memory,
    p13_two_servers,
    p14_floods,
)

FIGURES = (
    p01_purchases.FIGURE,
    p02_pgbench.FIGURE,
    p03_redemptions.FIGURE,
    p04_upload.FIGURE,
    p05_import.FIGURE,
    p06_expiry.FIGURE,
    p07_beside_expiry.FIGURE,
    p08_balances.FIGURE,
    p09_growth.FIGURE,
    p10_rules.FIGURE,
    p11_half_rate.FIGURE,
    p12_memory.FIGURE,
    p13_two_servers.FIGURE,
    p14_floods.FIGURE,
)
