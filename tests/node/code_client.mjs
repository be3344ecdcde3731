// Authorisation code with PAR, PKCE and iss (FAPI 2.0), by openid-client:
//   node code_client.mjs PARTY_JSON
// Prints {"authorization_url": ...} on a line, reads the URL the browser came back to from
// standard input, then prints as JSON what each later step gave.
import { createInterface } from "node:readline/promises";

import * as oauth from "openid-client";

import { queried, withinASecond } from "./calling.mjs";
import { configured, signingKey } from "./party.mjs";

async function authorizationUrl({ party, configuration, options }, checks) {
  const parameters = {
    redirect_uri: party.redirect_uri,
    scope: "credit.records:read",
    state: checks.expectedState,
    code_challenge: await oauth.calculatePKCECodeChallenge(checks.pkceCodeVerifier),
    code_challenge_method: "S256",
  };
  if (party.authorization_details) {
    parameters.authorization_details = JSON.stringify(party.authorization_details);
  }
  if (!party.signed_requests) {
    return oauth.buildAuthorizationUrlWithPAR(configuration, parameters, options);
  }
  // RFC 9101 within RFC 9126: the signed request object is what is pushed.
  const { searchParams } = await oauth.buildAuthorizationUrlWithJAR(
    configuration,
    parameters,
    await signingKey(party),
  );
  return oauth.buildAuthorizationUrlWithPAR(configuration, searchParams, options);
}

async function firstLine(input) {
  for await (const line of createInterface({ input })) {
    return line;
  }
  throw new Error("nobody came back");
}

const client = await configured(process.argv[2]);
const { configuration, party, options } = client;
if (party.signed_responses) {
  oauth.useJwtResponseMode(configuration);
}
const checks = {
  expectedState: oauth.randomState(),
  pkceCodeVerifier: oauth.randomPKCECodeVerifier(),
};
const told = {};
try {
  const url = await authorizationUrl(client, checks);
  console.log(JSON.stringify({ authorization_url: url.href }));
  const line = await firstLine(process.stdin);
  told.came_back_to = line;
  const token = await oauth.authorizationCodeGrant(configuration, new URL(line), checks, {}, options);
  told.token = token;
  // What a token rests on is named in each call made with it.
  const consent = token.authorization_details?.[0].consent;
  told.call = await queried(client, token.access_token, consent);
  if (token.refresh_token) {
    told.refreshed = await oauth.refreshTokenGrant(configuration, token.refresh_token, {}, options);
    told.call_refreshed = await queried(client, told.refreshed.access_token, consent);
    await oauth.tokenRevocation(configuration, told.refreshed.refresh_token ?? token.refresh_token);
    told.call_after = await withinASecond(
      () => queried(client, told.refreshed.access_token, consent),
      (call) => call.refusal,
    );
  }
} catch (error) {
  told.error = { code: error.code, error: error.error, message: error.message, status: error.status };
  process.exitCode = 2;
} finally {
  await client.close();
}
console.log(JSON.stringify(told));
