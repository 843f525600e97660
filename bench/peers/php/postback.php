<?php
// php-fpm behind nginx: a persistent connection a process with prepared statements, secrets remembered where APCu is.
declare(strict_types=1);

const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz';

function answer(int $code, array $body): never
{
    http_response_code($code);
    $text = json_encode($body);
    header('Content-Type: application/json');
    // With a length nginx need not send chunks.
    header('Content-Length: ' . strlen($text));
    exit($text);
}

function new_id(string $prefix): string
{
    $bytes = substr(pack('J', (int) (microtime(true) * 1000)), 2) . random_bytes(10);
    // 128 bits as 26 digits: the first one holds three bits.
    [$bits, $held, $text] = [0, 2, ''];
    foreach (unpack('C*', $bytes) as $byte) {
        $bits = ($bits << 8) | $byte;
        $held += 8;
        while ($held >= 5) {
            $held -= 5;
            $text .= ALPHABET[($bits >> $held) & 31];
            $bits &= (1 << $held) - 1;
        }
    }
    return "{$prefix}_{$text}";
}

/** Run a statement that is prepared once a connection. */
function run($connection, string $name, array $values): array
{
    $result = @pg_execute($connection, $name, $values);
    if ($result === false) {
        pg_prepare($connection, $name, file_get_contents(__DIR__ . "/../$name.sql"));
        $result = pg_execute($connection, $name, $values);
    }
    return pg_fetch_all($result);
}

function source_of($connection, string $id): ?array
{
    $has_cache = function_exists('apcu_fetch');
    if ($has_cache && ($kept = apcu_fetch($id)) !== false) {
        return $kept;
    }
    $row = run($connection, 'source', [$id])[0] ?? null;
    if ($row === null) {
        return null;
    }
    $sealed = pg_unescape_bytea($row['sealed_value']);
    $value = openssl_decrypt(
        substr($sealed, 12, -16), 'aes-256-gcm', base64_decode(getenv('KEY_ENCRYPTION_KEY')), OPENSSL_RAW_DATA,
        substr($sealed, 0, 12), substr($sealed, -16), "source_secret:{$row['id']}:{$row['secret_id']}",
    );
    $source = [
        'id' => $row['id'],
        'secret_id' => $row['secret_id'],
        'key' => base64_decode(substr($value, strlen('whsec_'))),
        'allowlist' => json_decode($row['allowlist']),
    ];
    if ($has_cache) {
        apcu_store($id, $source, 5);
    }
    return $source;
}

function is_within(string $peer, string $network): bool
{
    [$base, $bits] = explode('/', $network) + [1 => '128'];
    [$address, $base] = [inet_pton($peer), inet_pton($base)];
    if (strlen($address) !== strlen($base)) {
        return false;
    }
    $bytes = intdiv((int) $bits, 8);
    $mask = chr(0xff << (8 - $bits % 8) & 0xff);
    return strncmp($address, $base, $bytes) === 0
        && ($bits % 8 === 0 || ($address[$bytes] & $mask) === ($base[$bytes] & $mask));
}

function is_admitted(string $peer, array $allowlist): bool
{
    foreach ($allowlist as $network) {
        if (is_within($peer, $network)) {
            return true;
        }
    }
    return $allowlist === [];
}

/** Return the values of a strictly well-formed query, null for any other. */
function parsed(string $query): ?array
{
    $values = [];
    foreach (explode('&', $query) as $pair) {
        if (!preg_match('/^([a-z0-9_]{1,40})=((?:[A-Za-z0-9._~-]|%[0-9A-Fa-f]{2}|\+){0,255})$/D', $pair, $match)) {
            return null;
        }
        $text = urldecode($match[2]);
        // The modifier u fails on bytes that are not UTF-8.
        if (array_key_exists($match[1], $values) || preg_match('/[\x{00}-\x{1f}\x{7f}-\x{9f}]/u', $text) !== 0) {
            return null;
        }
        $values[$match[1]] = $text;
    }
    return $values;
}

$now = microtime(true);
$started = hrtime(true);
[$query, $peer] = [$_SERVER['QUERY_STRING'], $_SERVER['REMOTE_ADDR']];
$connection = pg_pconnect(getenv('DATABASE_URL'));
$source = source_of($connection, basename($_SERVER['DOCUMENT_URI']));
$is_signed = preg_match('/^(.*)&sig=([0-9a-f]{64})$/sD', $query, $signed) === 1;
$message = "pb1\nGET\n/postback/" . ($source['id'] ?? '') . "\n" . ($is_signed ? $signed[1] : $query);
$expected = hash_hmac('sha256', $message, $source['key'] ?? random_bytes(32));
if (!hash_equals($expected, $signed[2] ?? '') || $source === null || !is_admitted($peer, $source['allowlist'])) {
    answer(401, ['status' => 'unauthorised']);
}
$values = parsed($signed[1]);
if (
    empty($values['transaction_id']) || empty($values['click_id'])
    || !preg_match('/^([0-9]{1,12})(?:\.([0-9]{1,2}))?$/D', $values['payout'] ?? '', $payout)
    || !preg_match('/^[A-Z]{3}$/D', $values['currency'] ?? '') || !preg_match('/^[0-9]{10}$/D', $values['ts'] ?? '')
) {
    answer(422, ['status' => 'invalid']);
}
if ($values['ts'] < $now - 1800 || $values['ts'] > $now + 120) {
    answer(401, ['status' => 'unauthorised']);
}
$facts = array_diff_key($values, ['ts' => true]);
ksort($facts);
$names = array_keys($values);
sort($names);
$subs = array_filter($facts, fn (string $name) => str_starts_with($name, 'sub'), ARRAY_FILTER_USE_KEY);
$receipt_id = new_id('rcp');
[$recorded] = run($connection, 'record', [
    new_id('cnv'), $receipt_id, $source['id'], $values['transaction_id'], hash('sha256', json_encode($facts)),
    $values['transaction_id'], $values['click_id'], $values['event'] ?? 'sale',
    (int) ($payout[1] . str_pad($payout[2] ?? '', 2, '0')), $values['currency'], json_encode((object) $subs),
    (int) $values['ts'], sprintf('%.6F', $now), $peer, $query, $source['secret_id'], json_encode($names),
    intdiv(hrtime(true) - $started, 1000),
]);
answer(200, ['status' => $recorded['status'], 'receipt_id' => $receipt_id,
    'conversion_id' => $recorded['conversion_id']]);
