-- One statement: the UPDATE asks for the stock itself, and the order is inserted if a row came back.
--
-- Locks: the sale's row, from the UPDATE until the COMMIT has reached the disk.
-- Costs: one WAL flush for each order, since the next buyer waits for the lock through it; but one
-- round trip instead of five, so the lock is held for little longer than the flush. The sale's row
-- leaves a dead version with each order.
-- The right tool: where a few hundred orders a second are enough, which is nearly everywhere. The
-- check cannot be forgotten, and there is nothing to retry. A limit per user needs more than this.
\set sale_id 1
\set quantity 1
\set user_id random(1, 2000000000)
WITH taken AS (UPDATE sales SET stock_left = stock_left - :quantity WHERE id = :sale_id AND stock_left >= :quantity RETURNING id)
INSERT INTO orders (id, sale_id, user_id, quantity, status, idempotency_key)
SELECT gen_random_uuid(), id, :user_id, :quantity, 'confirmed', gen_random_uuid()::text FROM taken;
