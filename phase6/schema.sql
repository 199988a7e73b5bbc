-- Phase 6: what is for sale, who wanted it, and what came of it, once for each purchase. Whole: it
-- starts from an empty database.

-- stock_left is all that is left, unless the stock is sharded: then what is not in a shard. version
-- is INVENTORY=optimistic's, which counts up each time it sells; others may change the stock without.
CREATE TABLE sales (
    id             bigint      PRIMARY KEY CHECK (id > 0),
    name           text        NOT NULL,
    price_cents    bigint      NOT NULL CHECK (price_cents >= 0),
    stock_total    bigint      NOT NULL CHECK (stock_total >= 0),
    stock_left     bigint      NOT NULL CHECK (stock_left BETWEEN 0 AND stock_total),
    per_user_limit integer     NOT NULL CHECK (per_user_limit > 0),
    starts_at      timestamptz NOT NULL,
    ends_at        timestamptz NOT NULL CHECK (ends_at > starts_at),
    version        bigint      NOT NULL DEFAULT 0
);

-- A sale's stock in several rows, so that several orders can each lock one. Made by the first order
-- of a sale where INVENTORY=sharded.
CREATE TABLE sale_shards (
    sale_id    bigint  NOT NULL REFERENCES sales ON DELETE CASCADE,
    shard      integer NOT NULL CHECK (shard >= 0),
    stock_left bigint  NOT NULL CHECK (stock_left >= 0),
    PRIMARY KEY (sale_id, shard)
);

-- What a user bought of a sharded sale. Two of his orders may meet in different shards: this row is
-- what makes one wait for the other, as the sale's own row does where the stock is not sharded.
CREATE TABLE sale_buyers (
    sale_id bigint NOT NULL REFERENCES sales ON DELETE CASCADE,
    user_id bigint NOT NULL CHECK (user_id > 0),
    units   bigint NOT NULL CHECK (units >= 0),
    PRIMARY KEY (sale_id, user_id)
);

-- Every accepted order leaves a row once it is decided: who was told 202 asks later what came of
-- it. It is judged by accepted_at. decided_at may be much later; it is not the transaction's start,
-- which comes before the wait for the sale's row.
--
-- One purchase is one row, whoever inserts it: the id is made of user and key, and the UNIQUE says
-- the same. The fingerprint, of what was asked for, goes some time after the sale (NULL); the rest
-- stays, and so does the key.
CREATE TABLE orders (
    id              uuid        PRIMARY KEY,
    sale_id         bigint      NOT NULL REFERENCES sales,
    user_id         bigint      NOT NULL CHECK (user_id > 0),
    quantity        integer     NOT NULL CHECK (quantity > 0),
    status          text        NOT NULL CHECK (status IN ('confirmed', 'rejected', 'failed')),
    reason          text,
    accepted_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    decided_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    idempotency_key text        NOT NULL,
    fingerprint     bytea       CHECK (octet_length(fingerprint) = 32),
    CHECK ((reason IS NULL) = (status = 'confirmed')),
    UNIQUE (user_id, idempotency_key)
);

-- The per-user limit sums over this. Orders that were not confirmed are not in it: however many a
-- user sends, the sum reads no more rows than he may buy units.
CREATE INDEX orders_by_user ON orders (sale_id, user_id) WHERE status = 'confirmed';

-- What is left to purge.
CREATE INDEX orders_with_fingerprint ON orders (sale_id) WHERE fingerprint IS NOT NULL;

-- What the harness's audit reads, in every phase alike.
CREATE VIEW audit_sales AS
    SELECT id AS sale_id, stock_total,
           stock_left + coalesce((SELECT sum(stock_left)::bigint FROM sale_shards
                                  WHERE sale_id = sales.id), 0) AS stock_left,
           per_user_limit
    FROM sales;

CREATE VIEW audit_orders AS
    SELECT id AS order_id, sale_id, user_id, quantity, status, reason,
           idempotency_key, decided_at
    FROM orders;
