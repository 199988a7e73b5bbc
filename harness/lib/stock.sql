-- Sales 1 to :sales as new, each with :units to sell and :limit per user; nobody has bought. Every
-- window starts from the same tables: without the rows and the dead versions of the window before.
TRUNCATE orders;
SELECT to_regclass('sale_shards') IS NOT NULL AS has_shards, to_regclass('sale_buyers') IS NOT NULL AS has_buyers \gset
\if :has_shards
TRUNCATE sale_shards;
\endif
\if :has_buyers
TRUNCATE sale_buyers;
\endif
INSERT INTO sales (id, name, price_cents, stock_total, stock_left, per_user_limit, starts_at, ends_at)
SELECT n, name, price_cents, :units, :units, :limit, starts_at, ends_at
FROM sales, generate_series(1, :sales) n WHERE id = 1
ON CONFLICT (id) DO UPDATE SET stock_total = :units, stock_left = :units, per_user_limit = :limit;
-- Not of orders: of a table that was vacuumed while it was empty the planner believes that it is small,
-- and the servers' prepared statements would read it whole, however it grows, until autovacuum comes.
VACUUM (ANALYZE) sales;
