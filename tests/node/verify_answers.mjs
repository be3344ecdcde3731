// Verifies saved answers against the disclosure log, as docs/proofs.md tells, and prints what
// each proves, or why it proves nothing: `node verify_answers.mjs docs/vectors/answers.json`.
// With nothing but node:crypto and a decoder of Protocol Buffers.
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
root.loadSync(["creditgate/v1/credit_record_service.proto"]);
const message = (name) => root.lookupType(`creditgate.v1.${name}`);

const SUBJECT = message("GetSubjectRecordsRequest");
const RECORD = message("GetRecordRequest");
const BATCH = message("BatchGetSubjectRecordsRequest");
const ANSWER = message("GetSubjectRecordsResponse");
const CHUNK = message("BatchGetSubjectRecordsResponse");
const ENTRY = message("DisclosureLogEntry");
const COMPLETE = 2;
const INCLUSION = 1;

/** Returns the message in `bytes`, if these are its one form. */
function strictly(type, bytes) {
  const found = type.decode(bytes);
  require(
    Buffer.from(type.encode(found).finish()).equals(bytes),
    `the bytes are not the one form of a ${type.name}`,
  );
  return found;
}

function parsed(part) {
  try {
    return strictly(ANSWER, part);
  } catch {
    return strictly(CHUNK, part);
  }
}

const seconds = (time) => {
  require(!time.nanos, "a time is not of whole seconds");
  return BigInt(time.seconds.toString());
};

function period(record) {
  require(record.disclosedFrom, "a record does not say since when it is disclosed");
  const until = record.disclosedUntil ? seconds(record.disclosedUntil) : t.noEnd;
  return { from: seconds(record.disclosedFrom), until };
}

const holds = ({ from, until }, at) => from <= at && at < until;

function requireSignature(answer, part, key) {
  const { signature } = answer;
  require(signature?.requestDigest?.length === 32, "the answer is not signed");
  const encoded = answer.constructor.encode({ signature }).finish();
  const leaf = t.leafHash(
    Buffer.concat([signature.requestDigest, part.subarray(0, part.length - encoded.length)]),
  );
  const tree = t.inclusionRoot(signature.index, signature.size, leaf, signature.auditPath);
  require(
    key.verify(t.signedText(signature.size, tree), signature.signature),
    "the answer's signature is not of the gateway's key",
  );
}

function requestOf(bytes, answer) {
  for (const type of answer.constructor === CHUNK.ctor ? [BATCH] : [SUBJECT, RECORD]) {
    const digest = t.requestDigest(`creditgate.v1.${type.name}`, bytes);
    if (answer.signature.requestDigest.equals(digest)) {
      return { type, asked: strictly(type, bytes) };
    }
  }
  throw new Error("the answer is to another request");
}

// Records as members

function copyOf(record) {
  require(record.name.startsWith("records/"), "a record has no name");
  const contentDigest = t.sha256(record.content);
  require(contentDigest.equals(record.contentDigest), "a digest is not that of the content");
  return { id: record.name.slice("records/".length), contentDigest, ...period(record) };
}

function particulars(record) {
  const { revision, eventSequence, source, region, severity } = record;
  require(revision > 0 && BigInt(eventSequence.toString()) > 0n && severity >= 0, "no record");
  return t.particularsDigest({
    revision,
    eventSequence: eventSequence.toString(),
    source,
    region,
    severity,
  });
}

function publicMember(record) {
  require(!record.servedFields.length, "a record of a public item is cut");
  return t.publicDigest(copyOf(record), particulars(record));
}

/** Returns name and value of each member of canonical content, in their very bytes. */
function members(content) {
  const text = content.toString();
  const found = Object.keys(JSON.parse(text)).map((name, index, names) => {
    const start = text.indexOf(`"${name}":`) + name.length + 3;
    const next = names[index + 1];
    const end = next === undefined ? text.length - 1 : text.indexOf(`,"${next}":`, start);
    return [name, text.slice(start, end)];
  });
  const joined = `{${found.map(([name, value]) => `"${name}":${value}`).join(",")}}`;
  require(joined === text, "the content is not canonical JSON");
  for (const [, value] of found) {
    require(JSON.stringify(JSON.parse(value)) === value, "the content is not canonical JSON");
  }
  return found;
}

function protectedMember(record, opening) {
  const copy = copyOf(record);
  const { contentSalt, contentCommitment, fieldSalts, hiddenFields } = opening;
  const hidden = [...hiddenFields];
  hidden.forEach((hash, index) =>
    require(
      hash.length === 32 && (!index || Buffer.compare(hidden[index - 1], hash) < 0),
      "the digests of fields are not in order",
    ),
  );
  let commitment = contentCommitment;
  let shown = [];
  if (record.servedFields.length) {
    require(!contentSalt.length, "the opening is of the whole");
    const fields = members(record.content);
    require(
      fields.length === fieldSalts.length &&
        fields.every(([name], index) => name === fieldSalts[index].name) &&
        fields.every(([name]) => record.servedFields.includes(name)),
      "the fields opened are not those of the content",
    );
    shown = fields.map(([name, value], index) =>
      t.fieldDigest(fieldSalts[index].salt, name, value),
    );
  } else {
    require(!contentCommitment.length && !fieldSalts.length, "the opening is of a cut record");
    require(contentSalt.length === 32, "a protected record has no opening");
    commitment = t.contentCommitment(contentSalt, copy.contentDigest);
  }
  require(commitment.length === 32, "a protected record has no opening");
  return t.protectedDigest(copy, particulars(record), commitment, [...shown, ...hidden]);
}

// Log and map

function requireEntry(proof, checkpoint) {
  const found = t.inclusionRoot(
    proof.logIndex.toString(),
    checkpoint.size,
    t.leafHash(proof.entry),
    proof.auditPath,
  );
  require(found.equals(checkpoint.root), "the audit path does not lead to the root");
  return strictly(ENTRY, proof.entry);
}

function requireDisclosed(record, proof, checkpoint) {
  require(proof.record === record.name, "the proof is of another record");
  const { event } = requireEntry(proof.event, checkpoint);
  require(event, "the entry is of no event");
  const member = proof.opening ? protectedMember(record, proof.opening) : publicMember(record);
  const kind = record.revision === 1 ? 1 : 2;
  require(
    event.eventSequence.equals(record.eventSequence) && event.kind === kind,
    "the event is not the one that fixed the record",
  );
  require(proof.salt.length === 32, "an event has no salt");
  const { revision, subject, item } = record;
  require(
    event.commitment.equals(
      t.eventCommitment(proof.salt, kind, revision, subject, item, member),
    ),
    "the record is not what its event committed to",
  );
}

const ascending = (names) => names.every((name, index) => !index || names[index - 1] < name);

function requireSubject(proof, records, head, at) {
  const guarded = proof.protectedSets.map((each) => each.item);
  require(ascending(proof.items) && ascending(guarded), "the items are not in order");
  require(guarded.every((item) => proof.items.includes(item)), "an item is not named");
  const open = proof.items.filter((item) => !guarded.includes(item));
  require(proof.items.length || proof.allPublic, "the proof names no items");
  const isProtected = (item) => head.protectedItems.includes(item);
  require(guarded.every(isProtected), "a public item is proved as a protected one");
  const asPublic = [
    ...open,
    ...records.map(({ item }) => item).filter((item) => !guarded.includes(item)),
    ...(proof.publicSet?.otherItems ?? []).map(({ item }) => item),
    ...(proof.publicSet?.withheld ?? []).map(({ item }) => item),
  ];
  require(!asPublic.some(isProtected), "a protected item is proved as a public one");
  for (const record of records) {
    require(holds(period(record), head.since) && holds(period(record), at), "out of its period");
    const proved = guarded.includes(record.item) || open.includes(record.item);
    require(proved || (proof.allPublic && proof.publicSet), "an item has no proof");
  }
  if (proof.publicSet) {
    const { path, otherItems, unserved, withheld } = proof.publicSet;
    require(!unserved.length, "a record that is disclosed was left out");
    const others = otherItems.map((other) => other.item);
    require(ascending(others), "the other items are not in order");
    require(
      !others.length || (!proof.allPublic && !others.some((item) => proof.items.includes(item))),
      "an item named is proved by its digest alone",
    );
    const sets = new Map();
    const add = (item, digest) => sets.set(item, [...(sets.get(item) ?? []), digest]);
    for (const record of records.filter(({ item }) => !guarded.includes(item))) {
      add(record.item, publicMember(record));
    }
    for (const { item, digest } of withheld) {
      require(digest.length === 32, "a member has no digest");
      require(proof.allPublic || proof.items.includes(item), "a member is of no item named");
      add(item, digest);
    }
    const digests = [...sets].map(([item, found]) => [item, t.setDigest(item, found)]);
    for (const other of otherItems) {
      require(other.setDigest.length === 32, "a set has no digest");
      digests.push([other.item, other.setDigest]);
    }
    const value = digests.length ? t.publicValue(digests) : null;
    require(
      t.pathRoot(t.publicKey(proof.subject), value, path).equals(head.publicRoot),
      "the records are not the subject's whole set of public items",
    );
  } else {
    require(!open.length && !proof.allPublic, "the public items have no proof");
  }
  for (const each of proof.protectedSets) {
    const own = records.filter(({ item }) => item === each.item);
    require(!each.unserved.length, "a record that is disclosed was left out");
    require(own.length === each.openings.length, "the openings are not those of the records");
    let value = null;
    if (own.length) {
      require(each.salt.length === 32, "a protected set has no salt");
      const found = own.map((record, index) => protectedMember(record, each.openings[index]));
      value = t.protectedValue(each.salt, proof.subject, t.setDigest(each.item, found));
    } else {
      require(!each.salt.length, "a protected set without members has a salt");
    }
    require(
      head.protectedRoot && t.pathRoot(each.key, value, each.path).equals(head.protectedRoot),
      "the records are not the subject's whole set of a protected item",
    );
  }
  const { subject, items, allPublic } = proof;
  return { subject, items, all_public: allPublic, protected: guarded };
}

function requireComplete(records, proof, key, receipt) {
  require(!proof.records.length, "the proof is of single records too");
  const checkpoint = t.openCheckpoint(proof.checkpoint, key);
  require(
    BigInt(proof.mapHead.logIndex.toString()) === checkpoint.size - 1n,
    "the map's head is not the last entry",
  );
  const { mapHead } = requireEntry(proof.mapHead, checkpoint);
  require(mapHead, "the last entry is no head of the map");
  const since = seconds(mapHead.mapTime);
  const { protectedItems, protectedTree } = proof.mapHead;
  require(
    ascending(protectedItems) &&
      mapHead.protectedItemsDigest.equals(t.protectedItemsDigest(protectedItems)),
    "the protected items are not those of the map's head",
  );
  const untils = [seconds(mapHead.holdsUntil)];
  if (protectedTree) {
    const { salt, root: protectedRoot, holdsUntil } = protectedTree;
    untils.push(seconds(holdsUntil));
    require(salt.length === 32 && protectedRoot.length === 32, "the tree is not opened");
    require(
      mapHead.protectedCommitment.equals(
        t.protectedCommitment(salt, protectedRoot, seconds(holdsUntil)),
      ),
      "the protected tree is not that of the map's head",
    );
  }
  require(
    untils.every((until) => since < until && until <= since + 3600n),
    "the map's head is vouched for too long",
  );
  const until = untils.reduce((left, right) => (left < right ? left : right));
  const at = seconds(receipt.serveTime);
  require(since <= at && at < until, "the map does not hold at the instant of serving");
  require(
    BigInt(mapHead.eventSequence.toString()) >= BigInt(receipt.disclosureSequence.toString()),
    "the map is older than the answer",
  );
  const named = proof.subjects.map((each) => each.subject);
  require(new Set(named).size === named.length, "a subject is proved twice");
  require(records.every(({ subject }) => named.includes(subject)), "a subject has no proof");
  const head = {
    since,
    publicRoot: mapHead.publicRoot,
    protectedRoot: protectedTree?.root,
    protectedItems,
  };
  const subjects = proof.subjects.map((each) =>
    requireSubject(each, records.filter(({ subject }) => subject === each.subject), head, at),
  );
  return { checkpoint, subjects };
}

function requireAsked({ type, asked }, kind, records, subjects, answer) {
  require(asked.proof === kind, "the proof is not of the kind asked for");
  if (type === RECORD) {
    require(records.length === 1 && records[0].name === asked.name, "not the record asked for");
    return;
  }
  let span = [asked.subject];
  if (type === BATCH) {
    const { firstSubject: first, subjectCount: count } = answer;
    const last = first + count;
    require(
      asked.resumeFrom <= first && first < last && last <= asked.subjects.length,
      "the chunk is not one of the batch",
    );
    span = asked.subjects.slice(first, last);
  }
  const items = [...asked.items].sort();
  const about = subjects.map((each) => each.subject);
  require(
    kind !== COMPLETE || JSON.stringify(about) === JSON.stringify(span),
    "the subjects proved are not those asked for",
  );
  for (const record of records) {
    require(span.includes(record.subject), "a subject was not asked for");
    require(!items.length || items.includes(record.item), "an item was not asked for");
  }
  for (const each of subjects) {
    require(
      items.length
        ? !each.all_public && JSON.stringify(each.items) === JSON.stringify(items)
        : each.all_public,
      "the items proved are not those asked for",
    );
  }
}

/** Returns what the parts of an answer to `request` prove by the pinned `key`. */
export function verifyAnswer(request, parts, key) {
  const answers = parts.map(parsed);
  answers.forEach((answer, index) => requireSignature(answer, parts[index], key));
  const last = answers.at(-1);
  require(last.proof, "the answer has no proof");
  require(last.constructor !== CHUNK.ctor || last.chunkComplete, "the last part is missing");
  for (const part of answers.slice(0, -1)) {
    require(
      part.constructor === CHUNK.ctor &&
        !part.chunkComplete &&
        !part.proof &&
        part.signature.requestDigest.equals(last.signature.requestDigest) &&
        part.receipt.decisionId === last.receipt.decisionId &&
        part.firstSubject === last.firstSubject &&
        part.subjectCount === last.subjectCount,
      "the parts are not of one chunk",
    );
  }
  const { receipt, proof } = last;
  const records = answers.flatMap((answer) => answer.records);
  const at = seconds(receipt.serveTime);
  let usable = t.noEnd;
  for (const record of records) {
    require(holds(period(record), at), "a record was served outside its period");
    const { until } = period(record);
    usable = until < usable ? until : usable;
  }
  const told = receipt.usableUntil ? seconds(receipt.usableUntil) : t.noEnd;
  require(told === usable, "the receipt tells of another end of use");
  const kind = proof.mapHead ? COMPLETE : INCLUSION;
  let found = { subjects: [] };
  if (kind === COMPLETE) {
    found = requireComplete(records, proof, key, receipt);
  } else {
    require(!proof.subjects.length, "the proof is of subjects too");
    require(proof.records.length === records.length, "the proofs are not those of the records");
    const names = records.map(({ name }) => name);
    require(new Set(names).size === names.length, "a record is shown twice");
    found.checkpoint = t.openCheckpoint(proof.checkpoint, key);
    records.forEach((record, index) =>
      requireDisclosed(record, proof.records[index], found.checkpoint),
    );
  }
  requireAsked(requestOf(request, last), kind, records, found.subjects, last);
  return {
    kind: kind === COMPLETE ? "COMPLETE" : "INCLUSION",
    tree_size: Number(found.checkpoint.size),
    records: records.map(({ name }) => name),
    subjects: found.subjects,
  };
}

const { key, answers } = JSON.parse(readFileSync(process.argv[2], "utf8"));
const pinned = t.readKey(key);
const bytes = (text) => Buffer.from(text, "base64");
const verdicts = answers.map(({ name, request, parts }) => {
  try {
    return { name, verifies: true, ...verifyAnswer(bytes(request), parts.map(bytes), pinned) };
  } catch (error) {
    return { name, verifies: false, reason: error.message };
  }
});
console.log(JSON.stringify(verdicts));
