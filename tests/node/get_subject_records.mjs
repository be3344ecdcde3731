// Asks a served gateway for one subject's records and prints the answer as JSON:
//   node get_subject_records.mjs var/serve.json SUBJECT [PURPOSE] [CLIENT_ID]
// A refusal is printed as JSON too, with exit status 2.
import { randomUUID } from "node:crypto";

import { accessToken } from "./access_token.mjs";
import { answerOrRefusal, connect, getSubjectRecords } from "./credit_records.mjs";
import { readServed } from "./served.mjs";

const [path, subject, purpose = "PURPOSE_SUPPLIER_CHECK", clientId] = process.argv.slice(2);
if (subject === undefined) {
  console.error("usage: node get_subject_records.mjs SERVE_JSON SUBJECT [PURPOSE] [CLIENT_ID]");
  process.exit(1);
}
const served = readServed(path, clientId);
const service = connect(served.grpc, served.ca, served.client.key, served.client.certificate);
try {
  const token = await accessToken(served);
  const request = { subject, purpose, requestId: randomUUID() };
  const { answer, refusal } = await answerOrRefusal(getSubjectRecords(service, token, request));
  console.log(JSON.stringify(answer ?? refusal, null, 2));
  process.exitCode = refusal ? 2 : 0;
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
} finally {
  service.close();
}
