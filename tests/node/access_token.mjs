// An access token by client credentials (RFC 6749, 4.4): the client signs an assertion
// (RFC 7523) and shows its certificate, to which the token is then bound (RFC 8705).
import { createPrivateKey, randomUUID, sign } from "node:crypto";
import { readFileSync } from "node:fs";
import { request } from "node:https";

const encoded = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");

function assertion(served) {
  const now = Math.floor(Date.now() / 1000);
  const header = { alg: "ES256", typ: "JWT", kid: served.client.signing_key_id };
  const claims = {
    iss: served.client.id,
    sub: served.client.id,
    aud: served.issuer,
    jti: randomUUID(),
    iat: now,
    exp: now + 60,
  };
  const signed = `${encoded(header)}.${encoded(claims)}`;
  const key = createPrivateKey(readFileSync(served.client.signing_key));
  // RFC 7518, 3.4: R and S side by side, not the DER that node gives by default.
  const signature = sign("sha256", Buffer.from(signed), { key, dsaEncoding: "ieee-p1363" });
  return `${signed}.${signature.toString("base64url")}`;
}

function post(url, body, tls) {
  return new Promise((resolve, reject) => {
    const headers = { "content-type": "application/x-www-form-urlencoded" };
    const call = request(url, { method: "POST", headers, ...tls }, async (response) => {
      const chunks = await response.toArray();
      resolve({ status: response.statusCode, text: Buffer.concat(chunks).toString() });
    });
    call.on("error", reject);
    call.end(body);
  });
}

/** Returns an access token with every scope granted to the client. */
export async function accessToken(served) {
  const form = new URLSearchParams({
    grant_type: "client_credentials",
    client_id: served.client.id,
    client_assertion_type: "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
    client_assertion: assertion(served),
  });
  const answer = await post(served.token_endpoint, form.toString(), {
    ca: readFileSync(served.ca),
    cert: readFileSync(served.client.certificate),
    key: readFileSync(served.client.key),
  });
  if (answer.status !== 200) {
    throw new Error(`no token, HTTP ${answer.status}: ${answer.text}`);
  }
  return JSON.parse(answer.text).access_token;
}
