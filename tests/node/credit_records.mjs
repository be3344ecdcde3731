// Asks for one subject's records over gRPC, with a token bound to a certificate or to a key.
import { readFileSync } from "node:fs";
import { join } from "node:path";

import grpc from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import { generateProof } from "dpop";

import { explain } from "./refusal.mjs";

const PROTOS = join(import.meta.dirname, "..", "..", "protos");
const DEADLINE_MILLISECONDS = 10_000;
const METHOD = "/creditgate.v1.CreditRecordService/GetSubjectRecords";

/** Connects to `address`; `key` and `certificate` (files) are left out behind a TLS proxy. */
export function connect(address, ca, key, certificate) {
  const definition = loadSync("creditgate/v1/credit_record_service.proto", {
    includeDirs: [PROTOS],
    longs: String,
    enums: String,
    bytes: String, // base64, as in the JSON of protobuf
  });
  const { CreditRecordService } = grpc.loadPackageDefinition(definition).creditgate.v1;
  const read = (path) => (path ? readFileSync(path) : null);
  const tls = grpc.credentials.createSsl(read(ca), read(key), read(certificate));
  // Of this host, by no proxy of the environment.
  return new CreditRecordService(address, tls, { "grpc.enable_http_proxy": 0 });
}

function call(service, request, headers) {
  const metadata = new grpc.Metadata();
  for (const [name, value] of Object.entries(headers)) {
    metadata.set(name, value);
  }
  const deadline = Date.now() + DEADLINE_MILLISECONDS;
  return new Promise((resolve, reject) => {
    service.getSubjectRecords(request, metadata, { deadline }, (error, answer) =>
      error ? reject(error) : resolve(answer),
    );
  });
}

/** Returns the answer to `request` made with a token bound to the connection's certificate. */
export function getSubjectRecords(service, token, request) {
  return call(service, request, { authorization: `Bearer ${token}` });
}

/**
 * Returns the answer to `request` made with a token bound to `keys` (RFC 9449).
 *
 * `address` is that of the connection. A proof that lacks the server's nonce is made anew
 * with the one the refusal carries (section 9).
 */
export async function getSubjectRecordsByProof(service, address, token, keys, request) {
  const attempt = async (nonce) => {
    const proof = await generateProof(keys, `https://${address}${METHOD}`, "POST", nonce, token);
    return call(service, request, { authorization: `DPoP ${token}`, dpop: proof });
  };
  try {
    return await attempt(undefined);
  } catch (error) {
    const [nonce] = error.metadata?.get("dpop-nonce") ?? [];
    if (nonce === undefined) {
      throw error;
    }
    return attempt(nonce);
  }
}

/** Returns `outcome`'s answer or, when the gateway refused, the refusal. */
export async function answerOrRefusal(outcome) {
  try {
    return { answer: await outcome };
  } catch (error) {
    if (!(error.metadata instanceof grpc.Metadata)) {
      throw error;
    }
    return { refusal: explain(error, grpc.status) };
  }
}
