-- Puts who used what of a company (subject_uses) into parts while a gateway serves: docs/scale.md.
--
-- Run it by psql, once, as the owner of the tables, where the table has rows from before it came in
-- parts. It may be broken off and begun again until the last step. `parts` is how many there will be.

\set parts 16
\set ON_ERROR_STOP on
SET lock_timeout = '2s';

-- What is written from now on goes into both.
BEGIN;
CREATE TABLE IF NOT EXISTS subject_uses_parted (
    subject VARCHAR(18) NOT NULL,
    usage_sequence BIGINT NOT NULL,
    PRIMARY KEY (subject, usage_sequence)
) PARTITION BY HASH (subject);
SELECT format(
    'CREATE TABLE IF NOT EXISTS subject_uses_%s PARTITION OF subject_uses_parted'
    ' FOR VALUES WITH (MODULUS %s, REMAINDER %s)',
    part, :parts, part
) FROM generate_series(0, :parts - 1) AS part \gexec
CREATE OR REPLACE FUNCTION subject_uses_also() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO subject_uses_parted VALUES (NEW.subject, NEW.usage_sequence) ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;
DROP TRIGGER IF EXISTS subject_uses_also ON subject_uses;
CREATE TRIGGER subject_uses_also AFTER INSERT ON subject_uses
    FOR EACH ROW EXECUTE FUNCTION subject_uses_also();
COMMIT;

-- What was written before is copied; whoever writes waits for none of it.
INSERT INTO subject_uses_parted SELECT subject, usage_sequence FROM subject_uses
    ON CONFLICT DO NOTHING;
ANALYZE subject_uses_parted;

-- The one takes the other's place, in an instant.
BEGIN;
LOCK TABLE subject_uses IN ACCESS EXCLUSIVE MODE;
DROP TRIGGER subject_uses_also ON subject_uses;
DROP FUNCTION subject_uses_also();
ALTER TABLE subject_uses RENAME TO subject_uses_whole;
ALTER TABLE subject_uses_whole RENAME CONSTRAINT subject_uses_pkey TO subject_uses_whole_pkey;
ALTER TABLE subject_uses_parted RENAME TO subject_uses;
ALTER TABLE subject_uses RENAME CONSTRAINT subject_uses_parted_pkey TO subject_uses_pkey;
COMMIT;

-- Look at what is there, and then: DROP TABLE subject_uses_whole;
