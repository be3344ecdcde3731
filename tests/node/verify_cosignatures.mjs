// Cosigned checkpoints (docs/proofs.md), with nothing but node:crypto.
import { createPublicKey, verify } from "node:crypto";
import { readFileSync } from "node:fs";

import { openCheckpoint, readKey, require, sha256 } from "./transparency.mjs";

function readWitness(vkey) {
  const [name, id, ...rest] = vkey.split("+");
  const material = Buffer.from(rest.join("+"), "base64");
  const expected = sha256(name, "\n", material).subarray(0, 4);
  require(material[0] === 4 && material.length === 33, "this is no key of a witness");
  require(Buffer.from(id, "hex").equals(expected), "the key's id is not that of the key");
  const x = material.subarray(1).toString("base64url");
  const key = createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x }, format: "jwk" });
  return { name, id: expected, key };
}

/** Returns which witnesses have cosigned a note of the log of `key`, and when last. */
export function verifyWitnessed(note, key, witnesses, quorum) {
  const checkpoint = openCheckpoint(note, key);
  const at = note.lastIndexOf("\n\n");
  const text = note.slice(0, at + 1);
  const cosigned = {};
  for (const line of note.slice(at + 2).trimEnd().split("\n")) {
    const [, name, encoded] = line.split(" ");
    const raw = Buffer.from(encoded, "base64");
    const witness = witnesses.find(
      (each) => each.name === name && each.id.equals(raw.subarray(0, 4)),
    );
    if (!witness) {
      continue;
    }
    require(raw.length === 4 + 8 + 64, "a cosignature is not as long as it must be");
    const time = raw.readBigUInt64BE(4);
    const message = Buffer.from(`cosignature/v1\ntime ${time}\n${text}`);
    require(verify(null, message, witness.key, raw.subarray(12)), "a cosignature does not hold");
    cosigned[name] = Math.max(cosigned[name] ?? 0, Number(time));
  }
  require(Object.keys(cosigned).length >= quorum, "too few witnesses have cosigned");
  return { tree_size: Number(checkpoint.size), cosigned };
}

const { key, witnesses, quorum, notes } = JSON.parse(readFileSync(process.argv[2], "utf8"));
const [log, known] = [readKey(key), witnesses.map(readWitness)];
const verdicts = notes.map(({ name, note }) => {
  try {
    return { name, verifies: true, ...verifyWitnessed(note, log, known, quorum) };
  } catch (error) {
    return { name, verifies: false, reason: error.message };
  }
});
console.log(JSON.stringify(verdicts));
