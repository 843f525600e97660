// Fastify and pg, a node cluster of two: named (prepared) statements, a pool, secrets remembered.
import cluster from "node:cluster";
import { createDecipheriv, createHash, createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import { readFileSync } from "node:fs";
import { BlockList, isIPv4 } from "node:net";
import fastify from "fastify";
import pg from "pg";

const { DATABASE_URL, KEY_ENCRYPTION_KEY, PEERS, PORT } = process.env;
const RECORD = readFileSync(`${PEERS}/record.sql`, "utf8");
const SOURCE = readFileSync(`${PEERS}/source.sql`, "utf8");
const WORKERS = 2;
const ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz";
const SIGNED = /^(.*)&sig=([0-9a-f]{64})$/s;
const PAIR = /^([a-z0-9_]{1,40})=((?:[A-Za-z0-9._~-]|%[0-9A-Fa-f]{2}|\+){0,255})$/;
const AMOUNT = /^([0-9]{1,12})(?:\.([0-9]{1,2}))?$/;
const CONTROL = /[\x00-\x1f\x7f-\x9f]/;

function newId(prefix) {
  let number = (BigInt(Date.now()) << 80n) | BigInt(`0x${randomBytes(10).toString("hex")}`);
  let text = "";
  for (let place = 0; place < 26; place++) {
    text = ALPHABET[Number(number & 31n)] + text;
    number >>= 5n;
  }
  return `${prefix}_${text}`;
}

function opened(row) {
  const sealed = row.sealed_value;
  const cipher = createDecipheriv("aes-256-gcm", Buffer.from(KEY_ENCRYPTION_KEY, "base64"), sealed.subarray(0, 12));
  cipher.setAAD(Buffer.from(`source_secret:${row.id}:${row.secret_id}`));
  cipher.setAuthTag(sealed.subarray(-16));
  const value = Buffer.concat([cipher.update(sealed.subarray(12, -16)), cipher.final()]).toString();
  const admitted = new BlockList();
  for (const network of row.allowlist) {
    const [address, bits] = network.split("/");
    admitted.addSubnet(address, Number(bits), isIPv4(address) ? "ipv4" : "ipv6");
  }
  const key = Buffer.from(value.slice("whsec_".length), "base64");
  return { id: row.id, secretId: row.secret_id, key, admitted, isOpen: row.allowlist.length === 0 };
}

// The values of a strictly well-formed query, null for any other.
function parsed(query) {
  const values = new Map();
  for (const pair of query.split("&")) {
    const match = PAIR.exec(pair);
    if (!match || values.has(match[1])) return null;
    let text;
    try {
      text = decodeURIComponent(match[2].replaceAll("+", " "));
    } catch {
      return null;
    }
    if (CONTROL.test(text)) return null;
    values.set(match[1], text);
  }
  return values;
}

function minor(text) {
  const match = AMOUNT.exec(text ?? "");
  return match && BigInt(match[1]) * 100n + BigInt((match[2] ?? "").padEnd(2, "0"));
}

function isBelieved(source, ip, signed, query) {
  const message = `pb1\nGET\n/postback/${source.id}\n${signed ? signed[1] : query}`;
  const expected = createHmac("sha256", source.key).update(message).digest();
  const isSame = timingSafeEqual(expected, signed ? Buffer.from(signed[2], "hex") : Buffer.alloc(32));
  return Boolean(signed) && isSame && (source.isOpen || source.admitted.check(ip, isIPv4(ip) ? "ipv4" : "ipv6"));
}

function statement(source, ip, query, values, payout, now, started) {
  const conversionId = newId("cnv");
  const receiptId = newId("rcp");
  const facts = [...values].filter(([name]) => name !== "ts").sort();
  const subs = Object.fromEntries(facts.filter(([name]) => name.startsWith("sub")));
  return [
    conversionId, receiptId, source.id, values.get("transaction_id"),
    createHash("sha256").update(JSON.stringify(facts)).digest("hex"), values.get("transaction_id"),
    values.get("click_id"), values.get("event") || "sale", payout.toString(), values.get("currency"),
    JSON.stringify(subs), Number(values.get("ts")), now, ip, query, source.secretId,
    JSON.stringify([...values.keys()].sort()), Math.round((performance.now() - started) * 1000),
  ];
}

function serve() {
  const pool = new pg.Pool({ connectionString: DATABASE_URL, max: 16 });
  const sources = new Map();
  const app = fastify();

  async function sourceOf(id) {
    if (!sources.has(id)) {
      const { rows } = await pool.query({ name: "source", text: SOURCE, values: [id] });
      if (rows.length === 0) return null;
      sources.set(id, opened(rows[0]));
    }
    return sources.get(id);
  }

  app.get("/postback/:id", async (request, reply) => {
    const now = Date.now() / 1000;
    const started = performance.now();
    const url = request.raw.url;
    const query = url.slice(url.indexOf("?") + 1);
    const source = await sourceOf(request.params.id);
    const signed = SIGNED.exec(query);
    if (!source || !isBelieved(source, request.ip, signed, query)) {
      return reply.code(401).send({ status: "unauthorised" });
    }
    const values = parsed(signed[1]);
    const payout = values && minor(values.get("payout"));
    const sentAt = values?.get("ts") ?? "";
    const isWhole = values?.get("transaction_id") && values.get("click_id") && /^[0-9]{10}$/.test(sentAt);
    if (!isWhole || payout === null || !/^[A-Z]{3}$/.test(values.get("currency") ?? "")) {
      return reply.code(422).send({ status: "invalid" });
    }
    if (Number(sentAt) < now - 1800 || Number(sentAt) > now + 120) {
      return reply.code(401).send({ status: "unauthorised" });
    }
    const row = statement(source, request.ip, query, values, payout, now, started);
    const { rows } = await pool.query({ name: "record", text: RECORD, values: row });
    return { status: rows[0].status, receipt_id: row[1], conversion_id: rows[0].conversion_id };
  });

  app.listen({ host: "127.0.0.1", port: Number(PORT) });
}

if (cluster.isPrimary) {
  for (let count = 0; count < WORKERS; count++) cluster.fork();
} else {
  serve();
}
