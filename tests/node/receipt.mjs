// Reads a consent's receipt by the gateway's published keys, and signs it as the subject,
// with nothing but the jose package: `node receipt.mjs CASE.json`.
import { readFileSync } from "node:fs";

import { CompactSign, compactVerify, createLocalJWKSet, importJWK, jwtVerify } from "jose";

const { receipt, keys, issuer, subject } = JSON.parse(readFileSync(process.argv[2], "utf8"));

const { payload, protectedHeader } = await jwtVerify(receipt, createLocalJWKSet(keys), {
  issuer,
  typ: "consent-receipt+jwt",
  algorithms: ["ES256", "EdDSA"],
});

// RFC 7515, appendix F: the payload is the receipt itself, and is left out.
const key = await importJWK(subject.private, subject.algorithm);
const whole = await new CompactSign(Buffer.from(receipt, "ascii"))
  .setProtectedHeader({ alg: subject.algorithm, kid: subject.kid })
  .sign(key);
const [header, , signature] = whole.split(".");

// And the other way round: what the SDK signed, with the payload put back.
const [head, , made] = subject.signature.split(".");
const payloadPart = Buffer.from(receipt, "ascii").toString("base64url");
const verified = await compactVerify(
  `${head}.${payloadPart}.${made}`,
  await importJWK(subject.public, subject.algorithm),
);

console.log(
  JSON.stringify({
    kid: protectedHeader.kid,
    claims: payload,
    signature: `${header}..${signature}`,
    signed: Buffer.from(verified.payload).toString("ascii"),
  }),
);
