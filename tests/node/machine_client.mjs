// Machine to machine (RFC 6749, 4.4), from discovery to revocation, by openid-client:
//   node machine_client.mjs PARTY_JSON
// Prints as JSON what each step gave.
import * as oauth from "openid-client";

import { queried, withinASecond } from "./calling.mjs";
import { configured } from "./party.mjs";

const client = await configured(process.argv[2]);
const { configuration, party } = client;
const told = { metadata: configuration.serverMetadata() };
try {
  const scope = "credit.records:read";
  const token = await oauth.clientCredentialsGrant(configuration, { scope }, client.options);
  told.token = token;
  told.call = await queried(client, token.access_token);
  if (party.lifecycle) {
    told.introspection = await oauth.tokenIntrospection(configuration, token.access_token);
    await oauth.tokenRevocation(configuration, token.access_token);
    told.introspection_after = await withinASecond(
      () => oauth.tokenIntrospection(configuration, token.access_token),
      (introspection) => !introspection.active,
    );
    told.call_after = await queried(client, token.access_token);
  }
} catch (error) {
  told.error = { code: error.code, error: error.error, message: error.message, status: error.status };
  process.exitCode = 2;
} finally {
  await client.close();
}
console.log(JSON.stringify(told));
