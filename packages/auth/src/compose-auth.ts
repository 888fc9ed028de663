import type { Interceptor } from "@connectrpc/connect";
import type { AuthEventOptions } from "./auth-event.ts";
import type { AuthOutcome, AuthProvider, AuthRequest } from "./auth-provider.ts";
import { defineAuthProvider } from "./define-auth-provider.ts";

const absent: AuthOutcome = { kind: "absent" };

/**
 * Several ways to prove who calls, as one.
 *
 * On a client all of them add their credentials, the first outermost. On a server every credential that a call carries
 * has to hold: the first provider that finds one of its kind says who calls, and one that any provider refuses is never
 * made good by another. Of providers that look at one place, such as a JWT and a token in the header Authorization, the
 * first that finds its kind there decides about it alone.
 * @throws {TypeError} without a provider, or with two of one name.
 */
export function composeAuth(providers: readonly AuthProvider[], options: AuthEventOptions = {}): AuthProvider {
  if (providers.length === 0) throw new TypeError("providers must hold at least one");
  const names = providers.map(({ name }) => name);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) throw new TypeError(`providers must have different names, got two named ${twice}`);
  const place = [...new Set(providers.map((provider) => provider.place))].join(", ");
  return defineAuthProvider(
    {
      name: names.join("+"),
      place,
      clientInterceptor() {
        const interceptors = providers.map((provider) => provider.clientInterceptor());
        const all: Interceptor = (next) => interceptors.reduceRight((inner, outer) => outer(inner), next);
        return all;
      },
      authenticate: (request) => decide(providers, request, 0, absent, []),
    },
    options,
  );
}

/** Asks one provider after the other, from `index` on. Without a promise as long as they answer at once. */
function decide(
  providers: readonly AuthProvider[],
  request: AuthRequest,
  index: number,
  decided: AuthOutcome,
  decidedPlaces: readonly string[],
): AuthOutcome | Promise<AuthOutcome> {
  const provider = providers[index];
  if (provider === undefined) return decided;
  const { place, name } = provider;
  if (decidedPlaces.includes(place)) return decide(providers, request, index + 1, decided, decidedPlaces);
  const goOn = (outcome: AuthOutcome): AuthOutcome | Promise<AuthOutcome> => {
    if (outcome.kind === "absent") return decide(providers, request, index + 1, decided, decidedPlaces);
    if (outcome.kind !== "proved") return { ...outcome, reason: `${name}: ${outcome.reason}` };
    const first = decided.kind === "absent" ? outcome : decided;
    return decide(providers, request, index + 1, first, [...decidedPlaces, place]);
  };
  const outcome = provider.authenticate(request);
  return outcome instanceof Promise ? outcome.then(goOn) : goOn(outcome);
}
