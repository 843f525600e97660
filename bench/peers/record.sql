-- One believed postback in one statement: conversion, first event, receipt. $12 and $13 are Unix seconds.
WITH click AS (
    SELECT clicks.id, clicks.campaign_id, clicks.affiliate_id,
           CASE WHEN to_timestamp($12::float8) > clicked_at + make_interval(days => attribution_window_days)
                THEN 'outside_window' END AS hold_reason
    FROM clicks JOIN campaigns ON campaigns.id = clicks.campaign_id
    WHERE clicks.click_id = $7::text COLLATE "C"
), conversion AS (
    INSERT INTO conversions (
        id, source_id, dedupe_key, content_sha256, receipt_id, transaction_id, claimed_click_id, click_id, campaign_id,
        affiliate_id, event, payout_minor, currency, occurred_at, recorded_at, subs, assurance, state, hold_reason
    )
    SELECT $1::text, $3::text, $4::text, $5::text, $2::text, $6::text, $7::text, click.id, click.campaign_id,
           click.affiliate_id, $8::text, $9::bigint, $10::text, to_timestamp($12::float8), to_timestamp($13::float8),
           $11::text::jsonb, 'A', CASE WHEN click.id IS NULL THEN 'unmatched' ELSE 'recorded' END, click.hold_reason
    FROM (SELECT) AS one LEFT JOIN click ON true
    ON CONFLICT (source_id, dedupe_key) DO NOTHING
    RETURNING id, receipt_id, state, hold_reason, recorded_at
), event AS (
    INSERT INTO conversion_events (conversion_id, seq, kind, at, actor_kind, actor_id, receipt_id, details)
    SELECT id, 1, 'recorded', recorded_at, 'system', 'intake', receipt_id,
           jsonb_build_object('state', state, 'hold_reason', hold_reason)
    FROM conversion
), outcome AS (
    SELECT id AS conversion_id, CASE state WHEN 'unmatched' THEN 'unmatched' ELSE 'accepted' END AS status
    FROM conversion
    UNION ALL
    SELECT (SELECT id FROM conversions WHERE source_id = $3::text COLLATE "C" AND dedupe_key = $4::text), 'duplicate'
    WHERE NOT EXISTS (SELECT FROM conversion)
), receipt AS (
    INSERT INTO receipts (
        id, received_at, source_id, peer, method, raw_query, raw_body, signature_headers, verdict, faults, secret_id,
        assurance, covered_fields, dedupe_key, outcome, conversion_id, latency_us
    )
    SELECT $2::text, to_timestamp($13::float8), $3::text, $14::text, 'GET', convert_to($15::text, 'UTF8'), '', '{}',
           'believed', '[]', $16::text, 'A', $17::text::jsonb, $4::text, status, conversion_id, $18::bigint
    FROM outcome
)
SELECT status, conversion_id FROM outcome
