-- A source with its newest secret, still sealed: a peer opens it once and remembers it.
SELECT sources.id, sources.allowlist, secrets.id AS secret_id, secrets.sealed_value
FROM sources JOIN source_secrets AS secrets ON secrets.source_id = sources.id
WHERE sources.id = $1::text AND sources.state = 'active' AND secrets.revoked_at IS NULL
ORDER BY secrets.id DESC LIMIT 1
