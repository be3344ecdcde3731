// Refusals, readable: google.rpc error details (AIP-193) of a failed call.
import protobuf from "protobufjs";

// google/rpc/status.proto and google/rpc/error_details.proto, the parts used here.
const { root } = protobuf.parse(`
  syntax = "proto3";
  package google.rpc;
  message Detail { string type_url = 1; bytes value = 2; }
  message Status { int32 code = 1; string message = 2; repeated Detail details = 3; }
  message ErrorInfo { string reason = 1; string domain = 2; map<string, string> metadata = 3; }
  message BadRequest {
    message FieldViolation { string field = 1; string description = 2; }
    repeated FieldViolation field_violations = 1;
  }
`, { keepCase: true });
const Status = root.lookupType("google.rpc.Status");

/** Returns {status, message, reason, violations} of a grpc-js error; reason null if not refused. */
export function explain(error, statusNames) {
  const explained = {
    status: statusNames[error.code] ?? String(error.code),
    message: error.details,
    reason: null,
    violations: [],
  };
  const [details] = error.metadata?.get("grpc-status-details-bin") ?? [];
  for (const { type_url, value } of details ? Status.decode(details).details : []) {
    const name = type_url.split("/").pop();
    if (name === "google.rpc.ErrorInfo") {
      explained.reason = root.lookupType(name).decode(value).reason;
    } else if (name === "google.rpc.BadRequest") {
      const request = root.lookupType(name);
      explained.violations = request.toObject(request.decode(value)).field_violations;
    }
  }
  return explained;
}
