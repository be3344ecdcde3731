-- Spreads a gateway's tables over the workers of a Citus cluster: docs/scale.md.
--
-- To be run once, as the owner of the tables, on the coordinator, after `creditgate init` and before
-- anything was disclosed or served. Every key of a table that is spread has the column it is spread by;
-- a test goes over all tables and keys. What is not spread stays on the coordinator, for the reason that
-- stands above it.

BEGIN;

-- Keys that lack the column. Sequences come from one sequence or one writer, and record ids are looked
-- up under the disclosure's lock before one is written, so no row is let in that was kept out before.
ALTER TABLE usage_answers
    DROP CONSTRAINT usage_answers_pkey,
    ADD PRIMARY KEY (operator_id, sequence);
ALTER TABLE record_revisions
    DROP CONSTRAINT record_revisions_pkey,
    DROP CONSTRAINT uq_record_revisions_record_revision,
    ADD PRIMARY KEY (subject, sequence),
    ADD CONSTRAINT uq_record_revisions_record_revision UNIQUE (subject, record_id, revision);
ALTER TABLE audit_decisions
    DROP CONSTRAINT audit_decisions_pkey,
    ADD PRIMARY KEY (source_sequence, log_index);
CREATE INDEX ix_usage_answers_sequence ON usage_answers (sequence);
CREATE INDEX ix_record_revisions_sequence ON record_revisions (sequence);
CREATE INDEX ix_record_revisions_record ON record_revisions (record_id);
CREATE INDEX ix_audit_decisions_log_index ON audit_decisions (log_index);

-- Of an operator: what it uses, how much it may, what it holds.
SELECT create_distributed_table('usage_answers', 'operator_id');
SELECT create_distributed_table('usage_heads', 'operator_id', colocate_with => 'usage_answers');
SELECT create_distributed_table('usage_replays', 'operator_id', colocate_with => 'usage_answers');
SELECT create_distributed_table('quota_use', 'operator_id', colocate_with => 'usage_answers');
SELECT create_distributed_table('licence_use', 'operator_id', colocate_with => 'usage_answers');
SELECT create_distributed_table('quota_holds', 'operator_id', colocate_with => 'usage_answers');
SELECT create_distributed_table('rate_use', 'operator_id', colocate_with => 'usage_answers');
SELECT create_distributed_table('deliveries', 'operator_id', colocate_with => 'usage_answers');
SELECT create_distributed_table('region_asks', 'operator_id', colocate_with => 'usage_answers');
SELECT create_distributed_table('region_plans', 'operator_id', colocate_with => 'usage_answers');
SELECT create_distributed_table('regions_counted', 'operator_id', colocate_with => 'usage_answers');
SELECT create_distributed_table('region_answers', 'operator_id', colocate_with => 'usage_answers');
SELECT create_distributed_table('region_uses', 'operator_id', colocate_with => 'usage_answers');
SELECT create_distributed_table('region_replays', 'operator_id', colocate_with => 'usage_answers');
SELECT create_distributed_table('region_events', 'operator_id', colocate_with => 'usage_answers');
SELECT create_distributed_table('served_blocks', 'operator_id', colocate_with => 'usage_answers');
SELECT create_distributed_table('put_right_blocks', 'operator_id', colocate_with => 'usage_answers');
SELECT create_distributed_table('consented_copies', 'operator_id', colocate_with => 'usage_answers');
SELECT create_distributed_table('told_missing', 'operator_id', colocate_with => 'usage_answers');
SELECT create_distributed_table('removal_duties', 'operator_id', colocate_with => 'usage_answers');
SELECT create_distributed_table('region_removals', 'operator_id', colocate_with => 'usage_answers');
SELECT create_distributed_table('credited_uses', 'operator_id', colocate_with => 'usage_answers');

-- Of a company: its records, and who used them.
SELECT create_distributed_table('record_revisions', 'subject');
SELECT create_distributed_table('subject_uses', 'subject', colocate_with => 'record_revisions');
SELECT create_distributed_table('map_members', 'subject', colocate_with => 'record_revisions');
SELECT create_distributed_table('map_sets', 'subject', colocate_with => 'record_revisions');

-- Of a place in a log or tree, by which they are read.
SELECT create_distributed_table('disclosure_events', 'sequence');
SELECT create_distributed_table('disclosure_log_heads', 'log_index', colocate_with => 'none');
SELECT create_distributed_table('log_tiles', 'number', colocate_with => 'none');
SELECT create_distributed_table('log_bundles', 'number', colocate_with => 'none');
SELECT create_distributed_table('map_tiles', 'place', colocate_with => 'none');
SELECT create_distributed_table('audit_decisions', 'source_sequence', colocate_with => 'none');
SELECT create_distributed_table('revision_blocks', 'block', colocate_with => 'none');
SELECT create_distributed_table('ended_blocks', 'block', colocate_with => 'none');

-- Joined by what is spread, small and rarely changed.
SELECT create_reference_table('revenue_lines');

-- local: authority is followed by LISTEN, which hears the coordinator alone; it is small.
--   authority_log assertion_jti oauth_code oauth_grant oauth_grant_consent oauth_interaction
--   oauth_pushed_request oauth_refresh_token oauth_revocation signin_attempt signin_secret
--   signin_session
-- local: a consent is known by its id and by its operator's request; one key cannot have both.
--   To spread them, an id has to begin with the operator's shard; it does not yet.
--   consents consent_changes consent_lives consent_regions consent_removals consent_use
--   consent_notices_seen delegations subject_keys
-- local: queues, emptied as they are followed.
--   consent_writes evidence_writes
-- local: followed by sequence, swept by age; a refusal has no operator until it is known.
--   refusals
-- local: a fact is known by its kind and key, and by its place in the log; as consents.
--   audit_facts
-- local: one row for each follower, log, operator, month or region, or each thing that people deal
-- with.
--   alert_followed alert_hours alert_subjects alerts attestations audit_followed audit_gaps
--   audit_lost challenge_draws challenges clearing_claims clearing_disputes clearing_evidence clearing_versions clearing_failures gateway_beats gateway_outages
--   clearing_amounts clearing_ceilings clearing_time_plans log_links log_announcements
--   clearing_wanted clearings conformance_standings credit_notes credit_reports finding_evidence
--   findings followed holdings_positions journal_entries journal_postings log_checkpoints logs
--   map_head map_openness publisher_batches recognitions reconciliation_keys region_changes
--   region_credentials region_directories region_directory_faults regions_heard removal_duties_followed settlement_closings settlement_months split_views stage_changes
--   usage_cosignatures usage_duties usage_exported usage_logs witnessed_checkpoints
--   witnessed_ends witnessed_logs

COMMIT;
