// Makes elements and coded symbols of the published copies, as decision 32 tells, and prints
// them: `node symbols.mjs tests/reconcile/vectors/symbols.json`. Checksums are taken from the
// file: node:crypto has no keyed BLAKE2b.
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";

const MULTIPLIER = 0xda942042e4dd58b5n;
const LABEL = "creditgate/copy/v1\n";

function integer(value, bytes) {
  const written = Buffer.alloc(bytes);
  if (bytes === 4) written.writeUInt32BE(value);
  else written.writeBigInt64BE(BigInt(value));
  return written;
}

function copyDigest(copy) {
  const hash = createHash("sha256").update(LABEL);
  for (const part of [
    Buffer.from(copy.record_id),
    createHash("sha256").update(copy.content).digest(),
    integer(copy.disclosed_from, 8),
    integer(copy.disclosed_until, 8),
  ]) {
    hash.update(integer(part.length, 4)).update(part);
  }
  return hash.digest();
}

/** Returns the symbols below `limit` that an element is mapped to. */
function indices(checksum, limit) {
  let state = checksum.readBigUInt64LE();
  const found = [];
  for (let at = 0; at < limit; ) {
    found.push(at);
    state = BigInt.asUintN(64, state * MULTIPLIER);
    at += Math.ceil((at + 1.5) * (2 ** 32 / Math.sqrt(Number(state) + 1) - 1));
  }
  return found;
}

function symbols(elements, number) {
  const made = Array.from({ length: number }, () => ({ bytes: Buffer.alloc(24), count: 0 }));
  for (const { element, checksum } of elements) {
    const whole = Buffer.concat([element, checksum]);
    for (const index of indices(checksum, number)) {
      const symbol = made[index];
      symbol.bytes.forEach((byte, place) => (symbol.bytes[place] = byte ^ whole[place]));
      symbol.count += 1;
    }
  }
  return made.map(({ bytes, count }) => {
    const packed = Buffer.alloc(2);
    packed.writeUInt16BE(count % 65_536);
    return Buffer.concat([bytes, packed]).toString("hex");
  });
}

const vectors = JSON.parse(readFileSync(process.argv[2], "utf8"));
const made = vectors.copies.map((copy) => ({
  element: copyDigest(copy).subarray(0, 16),
  checksum: Buffer.from(copy.checksum, "hex"),
}));
const told = {
  elements: made.map(({ element }) => element.toString("hex")),
  indices: made.map(({ checksum }) => indices(checksum, 1_000)),
  symbols: symbols(made, vectors.symbols.length),
};
console.log(JSON.stringify(told));
