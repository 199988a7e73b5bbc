-- Unit rows: each unit is a row of its own, and a buyer takes the first that nobody holds.
--
-- Locks: that unit's row. Others skip it instead of waiting for it, so their COMMITs reach the disk
-- together. The sale's row too, for the orders' foreign key, but that lock is shared.
-- Costs: a row for each unit, written before the sale and deleted in it; every buyer steps over the
-- rows that the others hold and over those that are gone. Who finds only held rows is told that
-- nothing is left, although a holder may yet give up. An order of several units can get a part of them.
-- The right tool: for what is one of a kind anyway: seats, rooms, coupon codes, jobs in a queue.
\set sale_id 1
\set user_id random(1, 2000000000)
WITH taken AS (
    DELETE FROM units WHERE sale_id = :sale_id AND id = (
        SELECT id FROM units WHERE sale_id = :sale_id ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED)
    RETURNING sale_id)
INSERT INTO orders (id, sale_id, user_id, quantity, status, idempotency_key)
SELECT gen_random_uuid(), sale_id, :user_id, 1, 'confirmed', gen_random_uuid()::text FROM taken;
