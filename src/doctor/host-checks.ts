import type { PveVersion } from "../guest/host-facts.ts";
import type { Result } from "../ports/errors.ts";
import { checkOf, type Check } from "./check.ts";
import type { AnswerFacts, ApiFacts, CertificateFacts, ConfiguredFacts, TrustFacts } from "./facts.ts";
import { broken, fine, skip, warn, type Judgement } from "./finding.ts";
import { MEND_CLOCK } from "./words.ts";

/** Checks of Proxmox itself: reachable, trusted, and what it says of itself to the token. */
export const HOST_CHECKS: readonly Check[] = [
  checkOf("api", "api", "Proxmox's API answers at proxmox.url", judgeApi),
  checkOf("tls", "api", "a certificate that the config trusts and that holds for a while yet", judgeTls),
  checkOf("token", "api", "an API token that Proxmox accepts", judgeToken),
  answered("version", "Proxmox VE 8.4 or 9.x", ({ version }) => judgeVersion(version)),
  answered("node", "the configured node is one of the cluster's and online", judgeNode),
  answered("clock", "the host's clock and this one within 2 s of each other", judgeClock),
  answered("quorum", "the cluster has quorum: without it nothing can be written", judgeQuorum),
];

function answered(name: string, expected: string, judge: (answers: AnswerFacts, facts: ConfiguredFacts) => Judgement): Check {
  return checkOf(name, "api", expected, ({ answers }, facts) => (answers?.ok === true ? judge(answers.value, facts) : skip("Proxmox was not asked, see api, tls and token")));
}

function judgeApi({ connection, answers }: ApiFacts, { config }: ConfiguredFacts): Judgement {
  const { url } = config.proxmox;
  const { trust, certificate } = connection;
  if (!trust.ok || certificate === undefined) return skip("not asked: nothing is trusted yet, see tls");
  if (!certificate.ok && certificate.error.code !== "proxmox.untrusted") {
    return broken(certificate.error.message, `"systemctl status pveproxy" on the host; is proxmox.url (${url}) right, and the way to it open?`);
  }
  // Whether it accepts the token is the check of that name.
  if (answers?.ok === false && answers.error.code !== "proxmox.unauthenticated") {
    return broken(answers.error.message, '"systemctl status pveproxy pvedaemon pve-cluster" on the host');
  }
  return fine(`${url} answers`);
}

const DAY_MS = 86_400_000;
/** Proxmox renews its own certificates two weeks before their end (pveupdate): what is nearer was not renewed. */
const RENEWED_BEFORE_MS = 14 * DAY_MS;

function judgeTls({ connection }: ApiFacts, { nowMs, config }: ConfiguredFacts): Judgement {
  const { trust, certificate } = connection;
  if (!trust.ok) return broken(trust.error.message, "docs/configuration.md, how trust works: give the cluster's CA as caFile, or the certificate's fingerprint");
  if (certificate === undefined || (!certificate.ok && certificate.error.code !== "proxmox.untrusted")) return skip(`${howTrusted(trust.value)}; nothing answered to be verified, see api`);
  if (!certificate.ok) {
    const shown = certificate.error.code === "proxmox.untrusted" ? certificate.error.presentedFingerprint : undefined;
    const compare = `compare with "openssl x509 -noout -fingerprint -sha256 -in /etc/pve/nodes/${config.node}/pve-ssl.pem" (or pveproxy-ssl.pem) on the host itself`;
    return broken(certificate.error.message, shown === undefined ? `${compare}, then correct proxmox.tls` : `${compare}: only if it says ${shown}, set proxmox.tls to that`);
  }
  return judgeExpiry(trust.value, certificate.value, nowMs);
}

function judgeExpiry(trust: TrustFacts, { subject, endsMs, fingerprint }: CertificateFacts, nowMs: number): Judgement {
  const found = `${howTrusted(trust)}; ${subject}, good until ${day(endsMs)}`;
  const details = [`fingerprint ${fingerprint}`];
  if (endsMs <= nowMs) return warn(`${found}: it has ended, and holds only because it is pinned`, RENEW, details);
  if (endsMs - nowMs < RENEWED_BEFORE_MS) return warn(`${found}: soon`, RENEW, details);
  if (trust.authorityEndsMs !== undefined && trust.authorityEndsMs - nowMs < RENEWED_BEFORE_MS) {
    return warn(`${found}; the CA itself ends ${day(trust.authorityEndsMs)}`, "make a new CA on the host and give it to the agent", details);
  }
  return fine(found, details);
}

const RENEW = '"pvecm updatecerts" on the host renews it; a pinned fingerprint must then be changed here';

function howTrusted({ type, source }: TrustFacts): string {
  return type === "ca" ? `signed by the CA in ${source}` : `exactly the certificate of ${source}`;
}

function day(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10);
}

function judgeToken({ token, answers }: ApiFacts, { config }: ConfiguredFacts): Judgement {
  const file = config.proxmox.tokenFile;
  if (!token.ok && token.error.code === "config.insecure") return broken(token.error.message, `chmod 600 ${file}; when others may have read it, make a new token: pveum user token remove, then add`);
  if (!token.ok) return broken(token.error.message, `${NEW_TOKEN}; when it is there, run agent doctor as root or as the agent's user`);
  if (answers === undefined) return skip(`${token.value}: not tried, see api and tls`);
  if (answers.ok) return fine(`${token.value} is accepted`);
  if (answers.error.code !== "proxmox.unauthenticated") return skip(`${token.value}: not answered, see api`);
  return broken(`${token.value} is refused: wrong, expired or removed; Proxmox does not say which`, `"pveum user token list ${token.value.split("!")[0]}" shows it and its end; ${NEW_TOKEN}`);
}

const NEW_TOKEN = "pveum user token add USER NAME prints a new one: write it into proxmox.tokenFile as user@realm!name=uuid";

function judgeVersion({ major, minor, patch }: PveVersion): Judgement {
  const found = `${major}.${minor}.${patch}`;
  if (major === 9 || (major === 8 && minor >= 4)) return fine(found);
  return major < 9
    ? warn(`${found} is older than what Steward is tested with`, "upgrade the host; until then keep dryRun on and read its plans")
    : warn(`${found} is newer than what Steward is tested with`, "look for a newer Steward; until then keep dryRun on and read its plans");
}

/** A fact that Proxmox was asked for by itself, judged when it came. */
function told<T>(result: Result<T>, judge: (value: T) => Judgement): Judgement {
  return result.ok ? judge(result.value) : broken(result.error.message, "docs/proxmox.md says what Proxmox's refusals mean");
}

function judgeNode({ nodes }: AnswerFacts, { config }: ConfiguredFacts): Judgement {
  return told(nodes, (list) => {
    const names = list.map(({ name }) => name).join(", ");
    const own = list.find(({ name }) => name === config.node);
    if (own === undefined) return broken(`${config.node} is not among ${names || "none"}`, "set node: to the name that Proxmox shows, letter by letter");
    return own.isOnline ? fine(`${config.node}, of ${names}`) : broken(`${config.node} is not online`, "pvecm status on that node");
  });
}

/** What settling an act without an answer allows between its record and Proxmox's task. */
const SKEW_MAX_MS = 2_000;
/** Beyond this tokens with an end and certificates are judged differently on both sides. */
const SKEW_BROKEN_MS = 60_000;

function judgeClock({ clock }: AnswerFacts): Judgement {
  return told(clock, (fact) => {
    if (fact === null) return skip("the host's answers carry no date");
    const { skewMs, uncertaintyMs } = fact;
    const offMs = Math.max(0, Math.abs(skewMs) - uncertaintyMs);
    const found = `the host is ${(Math.abs(skewMs) / 1000).toFixed(1)} s ${skewMs < 0 ? "behind" : "ahead"} (± ${(uncertaintyMs / 1000).toFixed(1)} s)`;
    if (offMs <= SKEW_MAX_MS) return fine(found);
    const mend = `${MEND_CLOCK}; until then the task of an act that got no answer is not found`;
    return offMs > SKEW_BROKEN_MS ? broken(found, mend) : warn(found, mend);
  });
}

function judgeQuorum({ quorum }: AnswerFacts): Judgement {
  return told(quorum, (hasQuorum) => {
    if (hasQuorum === null) return skip("this token may not see it, see visibility");
    return hasQuorum ? fine("yes, or a node on its own") : broken("no: /etc/pve is read-only, and guests neither change nor start", '"pvecm status" on the host: which nodes are missing?');
  });
}
