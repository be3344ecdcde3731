// A party: one client, its keys and the gateway it talks to, as openid-client sees them.
import { readFileSync } from "node:fs";

import * as oauth from "openid-client";
import { Agent, fetch } from "undici";

// RFC 8705: the certificate is shown on the connection, so it belongs to the fetch.
function mutualTls(party) {
  const read = (path) => (path ? readFileSync(path) : undefined);
  const [ca, cert, key] = [party.ca, party.certificate, party.key].map(read);
  const dispatcher = new Agent({ connect: { ca, cert, key } });
  return { dispatcher, fetch: (url, options) => fetch(url, { ...options, dispatcher }) };
}

const ALGORITHMS = {
  ES256: { name: "ECDSA", namedCurve: "P-256" },
  PS256: { name: "RSA-PSS", hash: "SHA-256" },
  EdDSA: { name: "Ed25519" },
};

/** Returns the private key (PKCS #8 PEM file) the party signs assertions with. */
export async function signingKey({ signing_key, algorithm, key_id }) {
  const pem = readFileSync(signing_key, "ascii").replace(/-----[^-]+-----|\s/g, "");
  const der = Buffer.from(pem, "base64");
  const key = await crypto.subtle.importKey("pkcs8", der, ALGORITHMS[algorithm], false, ["sign"]);
  return { key, kid: key_id };
}

/** Returns the configuration of the party read from `path`, discovered by RFC 8414. */
export async function configured(path) {
  const party = JSON.parse(readFileSync(path, "utf8"));
  const tls = mutualTls(party);
  const authentication =
    party.authentication === "tls_client_auth"
      ? oauth.TlsClientAuth()
      : oauth.PrivateKeyJwt(await signingKey(party));
  const metadata = { use_mtls_endpoint_aliases: true };
  const configuration = await oauth.discovery(
    new URL(party.issuer),
    party.client_id,
    metadata,
    authentication,
    { algorithm: "oauth2", [oauth.customFetch]: tls.fetch },
  );
  const keys = party.binding === "dpop" ? await oauth.randomDPoPKeyPair("ES256") : undefined;
  const options = keys ? { DPoP: oauth.getDPoPHandle(configuration, keys) } : {};
  const close = () => tls.dispatcher.close();
  return { party, configuration, keys, options, fetch: tls.fetch, close };
}
