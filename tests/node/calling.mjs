// Calls of a party over gRPC, its token bound as the party is registered.
import { randomUUID } from "node:crypto";
import { setTimeout } from "node:timers/promises";

import {
  answerOrRefusal,
  connect,
  getSubjectRecords,
  getSubjectRecordsByProof,
} from "./credit_records.mjs";

/**
 * Returns {answer} or {refusal} of one query with `token`, over a connection of its own.
 *
 * `consent` is the name of the consent it relies on, if it relies on one.
 */
export async function queried({ party, keys }, token, consent = "") {
  const service = connect(party.grpc, party.ca, party.key, party.certificate);
  const request = {
    subject: party.subject,
    purpose: "PURPOSE_SUPPLIER_CHECK",
    consent,
    requestId: randomUUID(),
  };
  try {
    return await answerOrRefusal(
      keys
        ? getSubjectRecordsByProof(service, party.grpc, token, keys, request)
        : getSubjectRecords(service, token, request),
    );
  } finally {
    service.close();
  }
}

/**
 * Returns what `outcome` gives once `over` says so of it, or after a second at the latest:
 * a revocation acts within a second, not at once.
 */
export async function withinASecond(outcome, over) {
  const end = Date.now() + 1_000;
  for (;;) {
    const given = await outcome();
    if (over(given) || Date.now() > end) {
      return given;
    }
    await setTimeout(20);
  }
}
