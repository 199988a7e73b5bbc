-- Sale 1 as new, with :units to sell and :limit per user; nobody has bought. Every window starts
-- from the same tables: without the rows and the dead versions of the window before.
TRUNCATE orders;
UPDATE sales SET stock_total = :units, stock_left = :units, per_user_limit = :limit WHERE id = 1;
VACUUM (ANALYZE) sales, orders;
