// Asks a served gateway for one subject's records and prints the answer as JSON:
//   node get_subject_records.mjs var/serve.json SUBJECT [PURPOSE] [CLIENT_ID]
// A refusal is printed as JSON too, with exit status 2.
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";

import grpc from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";

import { accessToken } from "./access_token.mjs";
import { explain } from "./refusal.mjs";
import { readServed } from "./served.mjs";

const PROTOS = join(import.meta.dirname, "..", "..", "protos");
const DEADLINE_MILLISECONDS = 10_000;

function connect(served) {
  const definition = loadSync("creditgate/v1/credit_record_service.proto", {
    includeDirs: [PROTOS],
    longs: String,
    enums: String,
    bytes: String, // base64, as in the JSON of protobuf
  });
  const { CreditRecordService } = grpc.loadPackageDefinition(definition).creditgate.v1;
  const [ca, key, certificate] = [served.ca, served.client.key, served.client.certificate];
  const tls = grpc.credentials.createSsl(...[ca, key, certificate].map((path) => readFileSync(path)));
  return new CreditRecordService(served.grpc, tls);
}

function getSubjectRecords(service, token, request) {
  const metadata = new grpc.Metadata();
  metadata.set("authorization", `Bearer ${token}`);
  const deadline = Date.now() + DEADLINE_MILLISECONDS;
  return new Promise((resolve, reject) => {
    service.getSubjectRecords(request, metadata, { deadline }, (error, answer) =>
      error ? reject(error) : resolve(answer),
    );
  });
}

const [path, subject, purpose = "PURPOSE_SUPPLIER_CHECK", clientId] = process.argv.slice(2);
if (subject === undefined) {
  console.error("usage: node get_subject_records.mjs SERVE_JSON SUBJECT [PURPOSE] [CLIENT_ID]");
  process.exit(1);
}
const served = readServed(path, clientId);
const service = connect(served);
try {
  const token = await accessToken(served);
  const request = { subject, purpose, requestId: randomUUID() };
  console.log(JSON.stringify(await getSubjectRecords(service, token, request), null, 2));
} catch (error) {
  if (error.metadata instanceof grpc.Metadata) {
    console.log(JSON.stringify(explain(error, grpc.status), null, 2));
    process.exitCode = 2;
  } else {
    console.error(error.message);
    process.exitCode = 1;
  }
} finally {
  service.close();
}
