// The same server by oauth4webapi, step by step, where its own validations say more:
//   node low_level_client.mjs PARTY_JSON
// A JWT access token as a resource server reads it (RFC 9068, RFC 9449), and the signed
// answer to introspection (RFC 9701). Prints as JSON what each step gave.
import { readFileSync } from "node:fs";

import { generateProof } from "dpop";
import * as oauth from "oauth4webapi";
import { Agent, fetch } from "undici";

import { signingKey } from "./party.mjs";

const party = JSON.parse(readFileSync(process.argv[2], "utf8"));
const [ca, cert, key] = [party.ca, party.certificate, party.key].map((path) => readFileSync(path));
const dispatcher = new Agent({ connect: { ca, cert, key } });
const options = { [oauth.customFetch]: (url, init) => fetch(url, { ...init, dispatcher }) };
const issuer = new URL(party.issuer);
const client = { client_id: party.client_id };
const authentication = oauth.PrivateKeyJwt(await signingKey(party));
const keys = await oauth.generateKeyPair("ES256");
const dpop = oauth.DPoP(client, keys);

const discovered = await oauth.discoveryRequest(issuer, { ...options, algorithm: "oauth2" });
const server = await oauth.processDiscoveryResponse(issuer, discovered);

async function requestToken() {
  const scope = { scope: "credit.records:read" };
  const made = { ...options, DPoP: dpop };
  const response = await oauth.clientCredentialsGrantRequest(server, client, authentication, scope, made);
  return oauth.processClientCredentialsResponse(server, client, response);
}

async function token() {
  try {
    await requestToken();
  } catch (error) {
    // RFC 9449, 8: the first proof has no nonce yet; the second has the one of the answer.
    if (!oauth.isDPoPNonceError(error)) {
      throw error;
    }
    return requestToken();
  }
  throw new Error("a proof without nonce was taken");
}

async function readByResourceServer(accessToken) {
  const url = "https://records.example/";
  const proof = await generateProof(keys, url, "GET", undefined, accessToken);
  const headers = { authorization: `DPoP ${accessToken}`, dpop: proof };
  const request = new Request(url, { headers });
  return oauth.validateJwtAccessToken(server, request, party.audience, {
    ...options,
    requireDPoP: true,
  });
}

async function introspected(accessToken) {
  const asked = { ...options, requestJwtResponse: true };
  const response = await oauth.introspectionRequest(
    server, client, authentication, accessToken, asked,
  );
  const type = response.headers.get("content-type");
  const answer = await oauth.processIntrospectionResponse(server, client, response);
  await oauth.validateApplicationLevelSignature(server, response, options);
  return { type, answer };
}

try {
  const { access_token: accessToken } = await token();
  const claims = await readByResourceServer(accessToken);
  console.log(JSON.stringify({ server, claims, introspection: await introspected(accessToken) }));
} finally {
  await dispatcher.close();
}
