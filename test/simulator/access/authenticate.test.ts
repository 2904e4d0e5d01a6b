import { describe, expect, test } from "bun:test";
import { createAccessControl } from "../../../src/simulator/access/access.ts";
import { RECORDED_TOKENS, TOKEN_CONFIG, USER_CONFIG } from "../../support/served-node.ts";

const NOW_MS = Date.UTC(2026, 10, 21);
const access = createAccessControl(USER_CONFIG, TOKEN_CONFIG);
const verdict = (header: string | undefined, nowMs = NOW_MS): string => {
  const result = access.authenticate(header, nowMs);
  return result.ok ? `${result.caller.user}!${result.caller.tokenId}` : result.reason;
};
const GOOD = RECORDED_TOKENS.root;

describe("the Authorization header as a real host reads it", () => {
  const cases: readonly (readonly [string, string | undefined, string])[] = [
    ["the documented form", `PVEAPIToken=${GOOD}`, "root@pam!agent"],
    ["a space instead of the equals sign", `PVEAPIToken ${GOOD}`, "root@pam!agent"],
    ["no header", undefined, "No ticket"],
    ["an empty header", "", "No ticket"],
    ["lower case", `pveapitoken=${GOOD}`, "No ticket"],
    ["a colon after the name", `PVEAPIToken:${GOOD}`, "No ticket"],
    ["a bearer token", `Bearer ${GOOD}`, "No ticket"],
    ["nothing after the name", "PVEAPIToken=", "No ticket"],
    ["a colon before the secret", `PVEAPIToken=${GOOD.replace("agent=", "agent:")}`, "Authentication failed!"],
    ["garbage", "PVEAPIToken=garbage", "Authentication failed!"],
    ["a wrong secret", "PVEAPIToken=root@pam!agent=99999999-1111-4111-8111-111111111111", "Authentication failed!"],
    ["another token's secret", `PVEAPIToken=root@pam!agent=${RECORDED_TOKENS.agent.split("=")[1]}`, "Authentication failed!"],
    ["a token that does not exist", "PVEAPIToken=root@pam!nope=99999999-1111-4111-8111-111111111111", "Authentication failed!"],
    ["a user that does not exist", "PVEAPIToken=ghost@pve!tok=99999999-1111-4111-8111-111111111111", "Authentication failed!"],
    ["an expired token", `PVEAPIToken=${RECORDED_TOKENS.expired}`, "Authentication failed!"],
    ["a truncated secret", `PVEAPIToken=${GOOD.slice(0, -1)}`, "Authentication failed!"],
  ];
  test.each(cases)("%s", (_, header, expected) => expect(verdict(header)).toBe(expected));

  test("a token is good until the second it expires", () => {
    expect(verdict(`PVEAPIToken=${RECORDED_TOKENS.expired}`, 999_999_999_999)).toBe("agent@pve!old");
    expect(verdict(`PVEAPIToken=${RECORDED_TOKENS.expired}`, 1_000_000_000_000)).toBe("Authentication failed!");
  });

  test("a disabled or expired user's tokens are refused", () => {
    const users = ["user:off@pve:0:0::::::", "token:off@pve!t:0:0::", "user:old@pve:1:1000::::::", "token:old@pve!t:0:0::"].join("\n");
    const control = createAccessControl(users, "off@pve!t s1\nold@pve!t s2\n");
    expect(control.authenticate("PVEAPIToken=off@pve!t=s1", NOW_MS)).toEqual({ ok: false, reason: "Authentication failed!" });
    expect(control.authenticate("PVEAPIToken=old@pve!t=s2", NOW_MS)).toEqual({ ok: false, reason: "Authentication failed!" });
  });

  test("a token of root@pam is not root", () => {
    const result = access.authenticate(`PVEAPIToken=${GOOD}`, NOW_MS);
    expect(result.ok && result.caller.isRootLogin).toBe(false);
    expect(result.ok && result.caller.can("/vms/100", "VM.Allocate")).toBe(true);
  });

  test("what a caller can do follows the access control list", () => {
    const result = access.authenticate(`PVEAPIToken=${RECORDED_TOKENS.operator}`, NOW_MS);
    const can = (path: string, privilege: string): boolean => result.ok && result.caller.can(path, privilege);
    expect([can("/vms/100", "VM.PowerMgmt"), can("/vms/101", "VM.PowerMgmt"), can("/vms/100", "VM.Config.CPU")]).toEqual([true, false, false]);
  });
});
