// Use as docs/usage.md tells to verify it: receipts, answers, evidence, logs against receipts.
// `node usage.mjs docs/vectors/usage.json`, with nothing but node:crypto and a decoder of
// Protocol Buffers.
import { readFileSync } from "node:fs";
import { join } from "node:path";

import protobuf from "protobufjs";
import descriptors from "protobufjs/google/protobuf/descriptor.json" with { type: "json" };

import * as t from "./transparency.mjs";

const { require } = t;
const PROTOS = join(import.meta.dirname, "..", "..", "protos");
protobuf.common("descriptor", descriptors.nested.google.nested.protobuf.nested);
const root = new protobuf.Root();
root.resolvePath = (_, target) =>
  target.startsWith("google/") ? target : join(PROTOS, target.replace(PROTOS, ""));
root.loadSync(["creditgate/v1/credit_record_service.proto", "creditgate/v1/usage_evidence.proto"]);
const message = (name) => root.lookupType(`creditgate.v1.${name}`);

const [ANSWER, CHUNK] = ["GetSubjectRecordsResponse", "BatchGetSubjectRecordsResponse"].map(message);
const [LEAF, DETAIL, RECORD, AGAIN] = [
  "UsageLeaf",
  "UsageDetail",
  "DisclosedRecord",
  "UsageAgain",
].map(message);
const EVIDENCE = message("UsageEvidence");
const [USED, REVERSED] = [1, 2];
const [USE, CONFLICT, TWICE, MISCOUNTED, UNPROMISED] = [1, 2, 3, 4, 5];
const KINDS = ["", "USE", "CONFLICT", "TWICE", "MISCOUNTED", "UNPROMISED"];

const bytes = (text) => Buffer.from(text, "base64");
const big = (value) => BigInt(value.toString());
const encoded = (type, value) => Buffer.from(type.encode(value).finish());

function strictly(type, data) {
  const found = type.decode(data);
  require(encoded(type, found).equals(data), `the bytes are not the one form of a ${type.name}`);
  return found;
}

// Leaves

const lineKey = ({ item, source, region }) => JSON.stringify([item, source, region]);
const feeOf = (lines) =>
  lines.reduce((sum, line) => sum + big(line.entries) * big(line.unitPriceMicroYuan), 0n);

function counted(lines, count) {
  const found = new Map();
  for (const line of lines) {
    found.set(lineKey(line), (found.get(lineKey(line)) ?? 0n) + count(line));
  }
  return found;
}

/** Another region's records: their items are that region's, so they are told by source and region. */
const isOfOtherRegion = ({ kind, disclosureSequence, revisions, recordsDigest }) =>
  kind === USED && big(disclosureSequence) === 0n && !revisions.length && recordsDigest.length > 0;
const byLines = (lines) => counted(lines, (line) => big(line.entries));
const byRecords = (records) => counted(records, () => 1n);
const alike = (one, other) =>
  one.size === other.size && [...one].every(([key, count]) => other.get(key) === count);

/** Pieces of records have the same bytes one behind the other; a record begins with its name. */
function recordsDigest(records) {
  require(records.every((each) => each.name), "a record without a name is a piece of one");
  return t.sha256(...records.map((each) => encoded(RECORD, each)));
}

/** The digest of another region's records, each with the item it is charged as here. */
function regionRecordsDigest(items, records) {
  const hashed = [Buffer.from("creditgate/region-records/v1\n")];
  records.forEach((record, place) => {
    for (const text of [Buffer.from(items[place]), encoded(RECORD, record)]) {
      const length = Buffer.alloc(4);
      length.writeUInt32BE(text.length);
      hashed.push(length, text);
    }
  });
  return t.sha256(...hashed);
}

function detailOf(leaf, detail) {
  if (!leaf.detailDigest.length) {
    return { lines: leaf.lines, revisions: leaf.revisions };
  }
  if (!detail?.length) {
    return null;
  }
  require(t.sha256(detail).equals(leaf.detailDigest), "the detail is not that of the leaf");
  return strictly(DETAIL, detail);
}

function revisionsOf({ revisions }) {
  require(revisions.length % 8 === 0, "the revisions are not of eight bytes each");
  const data = Buffer.from(revisions);
  return Array.from({ length: data.length / 8 }, (_, i) => data.readBigInt64LE(8 * i));
}

const max = (one, other) => (one > other ? one : other);
const chargeOf = ({ kind, feeMicroYuan }) => (kind === USED ? big(feeMicroYuan) : -big(feeMicroYuan));
const requestOf = ({ operatorId, requestId, chunk }) => JSON.stringify([operatorId, requestId, chunk]);

/** Returns by how much a leaf charges too much by its own numbers, null where they are right. */
function miscounted(leaf, detail, received) {
  let due;
  let right;
  const elsewhere = isOfOtherRegion(leaf);
  if (received) {
    const { records, items } = received;
    require(!items.length || (elsewhere && items.length === records.length), "items are of each record");
    const digest = items.length ? regionRecordsDigest(items, records) : recordsDigest(records);
    require(!records.length || digest.equals(Buffer.from(leaf.recordsDigest)), "the records are not the leaf's");
    const counts = (each, item) => (elsewhere ? { ...each, item } : each);
    const lines = detail.lines.map((line) => counts(line, items.length ? line.item : ""));
    const left = byRecords(records.map((record, place) => counts(record, items[place] ?? "")));
    right = alike(byLines(lines), left);
    due = 0n;
    const dearest = lines.sort((a, b) =>
      Number(big(b.unitPriceMicroYuan) - big(a.unitPriceMicroYuan)),
    );
    for (const line of dearest) {
      const there = left.get(lineKey(line)) ?? 0n;
      const taken = big(line.entries) < there ? big(line.entries) : there;
      left.set(lineKey(line), there - taken);
      due += taken * big(line.unitPriceMicroYuan);
    }
  } else if (elsewhere && !detail.revisions.length) {
    due = feeOf(detail.lines);
    right = true;
  } else {
    const charged = detail.lines.reduce((sum, line) => sum + big(line.entries), 0n);
    const beyond = charged - BigInt(revisionsOf(detail).length);
    const prices = detail.lines.map((line) => big(line.unitPriceMicroYuan));
    const cheapest = prices.length ? prices.reduce((a, b) => (a < b ? a : b)) : 0n;
    due = feeOf(detail.lines) - max(beyond, 0n) * cheapest;
    right = beyond === 0n;
  }
  const fee = big(leaf.feeMicroYuan);
  return right && fee === feeOf(detail.lines) ? null : max(fee - due, 0n);
}

// Receipts and answers

function verifyReceipt(receipt, key) {
  requireSigned(receipt, key, receipt.leaf, receipt.groupIndex, receipt.groupPath);
  return strictly(LEAF, receipt.leaf);
}

function requireSigned({ keyId, groupSize, signature }, key, leaf, index, path) {
  require(keyId === key.id.readUInt32BE(), "the receipt is signed by another key");
  const tree = t.inclusionRoot(index, groupSize, t.leafHash(leaf), path);
  const signed =
    `creditgate/usage-receipt/v1\n${key.name}\n${groupSize}\n${tree.toString("base64")}\n`;
  require(key.verify(Buffer.from(signed), signature), "the signature is not the key's");
}

/** What is signed of a retry; gateways of an earlier version signed none as one. */
function verifyAgain({ usage, serveTime }, key, sequences, records) {
  if (!usage.again.length) {
    return;
  }
  requireSigned(usage, key, usage.again, usage.againIndex, usage.againPath);
  const again = strictly(AGAIN, usage.again);
  const revisions = Buffer.alloc(8 * sequences.length);
  sequences.forEach((each, place) => revisions.writeBigInt64LE(each, 8 * place));
  const digest = recordsDigest(records);
  require(
    t.leafHash(usage.leaf).equals(Buffer.from(again.leafHash)) &&
      again.serveSeconds.equals(serveTime.seconds) &&
      t.sha256(revisions).equals(Buffer.from(again.revisionsDigest)) &&
      (!again.recordsDigest.length || digest.equals(Buffer.from(again.recordsDigest))),
    "what is signed of the retry is not what was received",
  );
}

function verifyServed(parts, key) {
  const { receipt } = parts.at(-1);
  require(receipt?.usage, "the answer has no receipt of its use");
  const leaf = verifyReceipt(receipt.usage, key);
  const records = parts.flatMap((part) => part.records);
  require(leaf.kind === USED && leaf.decisionId === receipt.decisionId, "of another answer");
  const detail = detailOf(leaf, receipt.usage.detail);
  const sequences = records.map((each) => big(each.eventSequence));
  if (receipt.replayed) {
    const paid = detail && new Set(revisionsOf(detail));
    require(!paid || sequences.every((each) => paid.has(each)), "records were not paid for");
    if (detail) {
      const charged = byLines(detail.lines);
      const total = [...charged.values()].reduce((sum, count) => sum + count, 0n);
      require(total === BigInt(revisionsOf(detail).length), "the lines are not of what was paid for");
      for (const [kind, count] of byRecords(records)) {
        require(count <= (charged.get(kind) ?? 0n), "a retry has other records than were paid for");
      }
      require(feeOf(detail.lines) === big(leaf.feeMicroYuan), "the charge is not that of its lines");
    }
    verifyAgain(receipt, key, sequences, records);
    return leaf;
  }
  require(
    receipt.chargedMicroYuan.equals(leaf.feeMicroYuan) &&
      big(receipt.chargedEntries) === BigInt(records.length) &&
      receipt.serveTime.seconds.equals(leaf.serveSeconds) &&
      receipt.disclosureSequence.equals(leaf.disclosureSequence),
    "the answer tells of another charge than its receipt",
  );
  const digest = recordsDigest(records);
  require(
    !leaf.recordsDigest.length || digest.equals(Buffer.from(leaf.recordsDigest)),
    "the records are not those that were charged",
  );
  if (detail) {
    require(
      JSON.stringify(revisionsOf(detail).map(String)) === JSON.stringify(sequences.map(String)),
      "the revisions charged are not those received",
    );
    require(
      alike(byLines(detail.lines), byRecords(records)) &&
        feeOf(detail.lines) === big(leaf.feeMicroYuan),
      "the charge is not that of the records received",
    );
  }
  return leaf;
}

// Evidence

const logKey = (key, operatorId) => {
  const name = `${key.name}/${operatorId}`;
  const id = t.sha256(name, "\n", key.material).subarray(0, 4);
  return { ...key, name, id };
};

function shown(each, key) {
  if (each.receipt) {
    const detail = each.detail.length ? each.detail : each.receipt.detail;
    return { leaf: verifyReceipt(each.receipt, key), detail };
  }
  require(each.logged, "a leaf is shown by nothing");
  const { leaf: data, auditPath, checkpoint } = each.logged;
  const leaf = strictly(LEAF, data);
  const head = t.openCheckpoint(checkpoint, logKey(key, leaf.operatorId));
  const tree = t.inclusionRoot(leaf.usageIndex.toString(), head.size, t.leafHash(data), auditPath);
  require(tree.equals(head.root), "the audit path does not lead to the root");
  return { leaf, head, detail: each.detail };
}

const only = (uses) => {
  require(uses.length === 1, "the evidence is of one leaf");
  return uses[0];
};

const two = (uses) => {
  require(uses.length === 2, "the evidence compares two leaves");
  const [{ leaf: first }, { leaf: second }] = uses;
  require(first.operatorId === second.operatorId, "the leaves are of two operators");
  return uses;
};

const JUDGES = {
  [USE]: (evidence, uses, key) => {
    const { leaf, head } = only(uses);
    if (evidence.agreement) {
      require(head, "a use that is agreed with is shown by the log");
      const { checkpoint, consistencyProof } = evidence.agreement;
      const agreed = t.openCheckpoint(checkpoint, logKey(key, leaf.operatorId));
      t.requireConsistent(agreed, head, consistencyProof);
      require(big(leaf.usageIndex) < agreed.size, "what was agreed with does not reach to the use");
    }
    return { leaf, overcharge: 0n, convicts: false };
  },
  [CONFLICT]: (_, uses) => {
    const [first, logged] = two(uses);
    require(logged.head, "what is charged is shown by the log");
    require(!first.head || first.head.size <= logged.head.size, "the newer state comes second");
    require(
      first.leaf.usageIndex.equals(logged.leaf.usageIndex) &&
        !encoded(LEAF, first.leaf).equals(encoded(LEAF, logged.leaf)),
      "the leaves are not two of one place",
    );
    const overcharge = max(chargeOf(logged.leaf) - chargeOf(first.leaf), 0n);
    return { leaf: logged.leaf, overcharge, convicts: true };
  },
  [TWICE]: (_, uses) => {
    const [{ leaf: first }, { leaf: again }] = two(uses);
    require(
      requestOf(first) === requestOf(again) && first.kind === USED && again.kind === USED,
      "the leaves are not of one answer",
    );
    require(big(first.usageIndex) < big(again.usageIndex), "not at two places, the earlier first");
    return { leaf: again, overcharge: big(again.feeMicroYuan), convicts: true };
  },
  [MISCOUNTED]: (evidence, uses) => {
    const { leaf, detail } = only(uses);
    const found = detailOf(leaf, detail);
    require(found, "the leaf's detail is missing");
    const none = [t.sha256(), regionRecordsDigest([], [])];
    const known = evidence.records.length || none.some((each) => each.equals(Buffer.from(leaf.recordsDigest)));
    const overcharge = miscounted(leaf, found, known ? evidence : null);
    require(overcharge !== null, "the leaf charges what it counts");
    return { leaf, overcharge, convicts: true };
  },
  [UNPROMISED]: (_, uses) => {
    const { leaf, head } = only(uses);
    require(head && leaf.kind === USED, "what is charged without a receipt is shown by the log");
    return { leaf, overcharge: big(leaf.feeMicroYuan), convicts: false };
  },
};

function verifyEvidence(data, key) {
  const evidence = strictly(EVIDENCE, data);
  const judge = JUDGES[evidence.kind];
  require(judge, "the evidence does not tell what it shows");
  require(!evidence.agreement || evidence.kind === USE, "only a use is agreed with");
  require(
    !(evidence.records.length || evidence.items.length) || evidence.kind === MISCOUNTED,
    "only what is miscounted is counted anew",
  );
  const uses = evidence.leaves.map((each) => shown(each, key));
  const { leaf, overcharge, convicts } = judge(evidence, uses, key);
  return {
    kind: KINDS[evidence.kind],
    usage_index: Number(leaf.usageIndex),
    overcharge_micro_yuan: Number(overcharge),
    convicts,
  };
}

// Logs against receipts

function compare(receipts, leaves) {
  const found = [];
  const tell = (kind, place, overcharge) =>
    found.push({ kind, usage_index: place, overcharge_micro_yuan: Number(overcharge) });
  const promised = new Map();
  for (const receipt of receipts) {
    const place = Number(strictly(LEAF, receipt).usageIndex);
    promised.set(place, [...(promised.get(place) ?? []), receipt]);
  }
  const firsts = new Map();
  const again = [];
  leaves.forEach((data, place) => {
    const leaf = strictly(LEAF, data);
    require(Number(leaf.usageIndex) === place, "a leaf is logged at another place than it names");
    const detail = detailOf(leaf);
    const beyond = detail && miscounted(leaf, detail);
    if (detail && beyond !== null) {
      tell("miscounted", place, beyond);
    }
    for (const receipt of promised.get(place) ?? []) {
      if (!receipt.equals(data)) {
        tell("conflict", place, max(chargeOf(leaf) - chargeOf(strictly(LEAF, receipt)), 0n));
      }
    }
    if (!promised.has(place) && leaf.kind !== REVERSED) {
      tell("unpromised", place, leaf.feeMicroYuan);
    }
    if (leaf.kind === USED) {
      if (firsts.has(requestOf(leaf))) {
        again.push([place, leaf.feeMicroYuan]);
      }
      firsts.set(requestOf(leaf), place);
    }
  });
  for (const place of [...promised.keys()].filter((each) => each >= leaves.length).sort()) {
    tell("unlogged", place, 0n);
  }
  again.forEach(([place, fee]) => tell("twice", place, fee));
  return found;
}

const vectors = JSON.parse(readFileSync(process.argv[2], "utf8"));
const pinned = t.readKey(vectors.key);
const judged = (name, judge) => {
  try {
    return { name, verifies: true, ...judge() };
  } catch (error) {
    return { name, verifies: false, reason: error.message };
  }
};
console.log(
  JSON.stringify({
    answers: vectors.answers.map(({ name, batch, parts }) =>
      judged(name, () => {
        const type = batch ? CHUNK : ANSWER;
        const leaf = verifyServed(parts.map((part) => type.decode(bytes(part))), pinned);
        return {
          usage_index: Number(leaf.usageIndex),
          fee_micro_yuan: Number(leaf.feeMicroYuan),
        };
      }),
    ),
    evidence: vectors.evidence.map(({ name, evidence }) =>
      judged(name, () => verifyEvidence(bytes(evidence), pinned)),
    ),
    logs: vectors.logs.map(({ name, receipts, leaves }) => ({
      name,
      differences: compare(receipts.map(bytes), leaves.map(bytes)),
    })),
  }),
);
