// The hashes of docs/proofs.md, with nothing but node:crypto: logs, notes, prefix trees, facts.
import { createHash, createPublicKey, verify as verifySignature } from "node:crypto";

const NO_END = 253402300799n;
const EMPTY = Buffer.alloc(32);

export function require(holds, otherwise) {
  if (!holds) {
    throw new Error(otherwise);
  }
}

export const sha256 = (...parts) => {
  const hash = createHash("sha256");
  for (const part of parts) {
    hash.update(part);
  }
  return hash.digest();
};

const number = (value, bytes) => {
  const hex = BigInt.asUintN(8 * bytes, BigInt(value)).toString(16);
  return Buffer.from(hex.padStart(2 * bytes, "0"), "hex");
};

const ordered = (hashes) => [...hashes].sort(Buffer.compare);

export function labelled(label, ...parts) {
  const behindLengths = parts.flatMap((part) => {
    const bytes = Buffer.from(part);
    return [number(bytes.length, 4), bytes];
  });
  return sha256(`creditgate/${label}/v1\n`, ...behindLengths);
}

// What is disclosed

export const instant = (seconds) => number(seconds, 8);
export const noEnd = NO_END;

export const copyDigest = (copy) =>
  labelled("copy", copy.id, copy.contentDigest, instant(copy.from), instant(copy.until));

export const particularsDigest = ({ revision, eventSequence, source, region, severity }) =>
  labelled(
    "particulars",
    number(revision, 4),
    number(eventSequence, 8),
    source,
    region,
    number(severity, 4),
  );

export const publicDigest = (copy, particulars) =>
  labelled("public", copyDigest(copy), particulars);

export const fieldDigest = (salt, name, value) => labelled("field", salt, name, value);

export const contentCommitment = (salt, digest) => labelled("content", salt, digest);

export const protectedDigest = (copy, particulars, commitment, fields) =>
  labelled(
    "protected",
    copy.id,
    particulars,
    commitment,
    instant(copy.from),
    instant(copy.until),
    ...ordered(fields),
  );

export const setDigest = (item, members) => labelled("set", item, ...ordered(members));

export const publicValue = (sets) =>
  labelled("subject", ...[...sets].sort(([a], [b]) => (a < b ? -1 : 1)).flat());

export const protectedValue = (salt, subject, digest) =>
  labelled("protected-set", salt, subject, digest);

export const protectedItemsDigest = (items) => labelled("protected-items", ...items);

export const protectedCommitment = (salt, root, holdsUntil) =>
  labelled("protected-tree", salt, root, instant(holdsUntil));

export const publicKey = (subject) => labelled("subject-key", subject);

export const eventCommitment = (salt, kind, revision, subject, item, member) =>
  labelled("event", salt, number(kind, 1), number(revision, 4), subject, item, member);

// Logs: RFC 6962 section 2.1, RFC 9162 section 2.1.3.2

export const leafHash = (data) => sha256(Buffer.from([0]), data);
const nodeHash = (left, right) => sha256(Buffer.from([1]), left, right);

export function inclusionRoot(index, size, leaf, path) {
  let [node, last, root] = [BigInt(index), BigInt(size) - 1n, leaf];
  require(node >= 0n && node <= last, "the leaf's place is outside the tree");
  for (const sibling of path) {
    require(sibling.length === 32 && last > 0n, "the audit path is too long");
    if (node & 1n || node === last) {
      root = nodeHash(sibling, root);
      while (!(node & 1n) && node) {
        [node, last] = [node >> 1n, last >> 1n];
      }
    } else {
      root = nodeHash(root, sibling);
    }
    [node, last] = [node >> 1n, last >> 1n];
  }
  require(last === 0n, "the audit path is too short");
  return root;
}

/** Requires that the log of `second` begins with that of `first`: RFC 9162 section 2.1.4.2. */
export function requireConsistent(first, second, proof) {
  require(first.size > 0n && first.size <= second.size, "the trees' sizes are not in order");
  if (first.size === second.size) {
    require(!proof.length && first.root.equals(second.root), "two trees of one size differ");
    return;
  }
  const nodes = [...proof];
  if ((first.size & (first.size - 1n)) === 0n) {
    nodes.unshift(first.root);
  }
  let [node, last] = [first.size - 1n, second.size - 1n];
  while (node & 1n) {
    [node, last] = [node >> 1n, last >> 1n];
  }
  require(nodes.length > 0, "the consistency proof is too short");
  let [former, latter] = [nodes[0], nodes[0]];
  for (const sibling of nodes.slice(1)) {
    require(sibling.length === 32 && last > 0n, "the consistency proof is too long");
    if (node & 1n || node === last) {
      [former, latter] = [nodeHash(sibling, former), nodeHash(sibling, latter)];
      while (!(node & 1n) && node) {
        [node, last] = [node >> 1n, last >> 1n];
      }
    } else {
      latter = nodeHash(latter, sibling);
    }
    [node, last] = [node >> 1n, last >> 1n];
  }
  require(last === 0n, "the consistency proof is too short");
  require(
    former.equals(first.root) && latter.equals(second.root),
    "the consistency proof does not lead to the roots",
  );
}

// Keys and checkpoints: C2SP signed-note, tlog-checkpoint

export function readKey(vkey) {
  const [name, id, ...rest] = vkey.split("+");
  const material = Buffer.from(rest.join("+"), "base64");
  const expected = sha256(name, "\n", material).subarray(0, 4);
  require(material[0] === 1 && material.length === 33, "this is no Ed25519 verifier key");
  require(Buffer.from(id, "hex").equals(expected), "the key's id is not that of the key");
  const x = material.subarray(1).toString("base64url");
  const key = createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x }, format: "jwk" });
  return { name, id: expected, material, verify: (text, signature) => verifySignature(null, text, key, signature) };
}

export function openCheckpoint(note, key) {
  const at = note.lastIndexOf("\n\n");
  require(at > 0, "the checkpoint is no signed note");
  const text = note.slice(0, at + 1);
  const signed = note
    .slice(at + 2)
    .trimEnd()
    .split("\n")
    .map((line) => line.split(" "))
    .filter(([dash, name]) => dash === "—" && name === key.name)
    .map(([, , encoded]) => Buffer.from(encoded, "base64"))
    .filter((signature) => signature.subarray(0, 4).equals(key.id));
  require(signed.length > 0, "the checkpoint is not signed by the log's key");
  for (const signature of signed) {
    require(key.verify(text, signature.subarray(4)), "the checkpoint's signature does not hold");
  }
  const [origin, size, root, end, ...more] = text.split("\n");
  require(origin === key.name && end === "" && !more.length, "the checkpoint is of another log");
  require(/^(0|[1-9][0-9]*)$/.test(size), "the checkpoint has no size");
  return { size: BigInt(size), root: Buffer.from(root, "base64") };
}

// Answers

export const requestDigest = (name, request) => sha256(name, "\n", request);

export const signedText = (size, root) =>
  Buffer.concat([Buffer.from("\0creditgate/answers/v1\n"), number(size, 8), root]);

// The prefix trees of the disclosure map

const bit = (bytes, depth) => (bytes[depth >> 3] >> (7 - (depth & 7))) & 1;
const mapLeaf = (key, value) => sha256(Buffer.from([2]), key, value);
const mapNode = (left, right) => sha256(Buffer.from([3]), left, right);

/** Returns the root of the tree in which `path` proves that `key` has `value`, null for none. */
export function pathRoot(key, value, path) {
  const { depth, siblingBits, siblings, otherKey, otherValue, absent } = path;
  require(depth >= 0 && depth <= 256, "the path is too deep");
  require(siblingBits.length === (depth + 7) >> 3, "the path's bits are not those of its depth");
  const given = [...siblings];
  const beside = [];
  for (let level = 0; level < 8 * siblingBits.length; level += 1) {
    const set = bit(siblingBits, level);
    require(level < depth || !set, "the path has bits below its depth");
    if (level < depth) {
      beside.push(set ? (given.shift() ?? EMPTY) : EMPTY);
    }
  }
  require(given.length === 0, "the path has siblings to spare");
  require(siblings.every((hash) => hash.length === 32 && !hash.equals(EMPTY)), "no sibling");
  require(
    siblings.length === beside.filter((hash) => !hash.equals(EMPTY)).length,
    "the path lacks siblings",
  );
  let node = EMPTY;
  if (value !== null) {
    require(!absent && !otherKey.length && !otherValue.length, "the path is of no leaf");
    node = mapLeaf(key, value);
  } else if (absent) {
    require(!otherKey.length && !otherValue.length, "the path is of another leaf");
  } else {
    require(otherKey.length === 32 && otherValue.length === 32, "the path is of no leaf");
    require(!otherKey.equals(key), "the key has a leaf");
    for (let level = 0; level < depth; level += 1) {
      require(bit(key, level) === bit(otherKey, level), "the other leaf stands elsewhere");
    }
    node = mapLeaf(otherKey, otherValue);
  }
  const lone = !node.equals(EMPTY);
  require(!lone || !depth || !beside.at(-1).equals(EMPTY), "the leaf stands too deep");
  for (let level = depth - 1; level >= 0; level -= 1) {
    const sibling = beside[level];
    require(!(node.equals(EMPTY) && sibling.equals(EMPTY)), "the path goes on over nothing");
    node = bit(key, level) ? mapNode(sibling, node) : mapNode(node, sibling);
  }
  return node;
}
