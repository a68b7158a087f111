// Docker calls this: status 0 if the server is ready, 1 if it is not or does not answer.

const answer = await fetch(`http://127.0.0.1:${process.env.PORT || 8080}/readyz`, { signal: AbortSignal.timeout(2_000) }).catch(() => undefined);
process.exitCode = answer?.ok ? 0 : 1;
