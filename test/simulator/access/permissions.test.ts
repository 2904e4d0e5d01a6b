import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { listPermissions, privilegesOn } from "../../../src/simulator/access/permissions.ts";
import { ALL_PRIVILEGES } from "../../../src/simulator/access/roles.ts";
import { parseUserConfig } from "../../../src/simulator/access/user-config.ts";
import { readRecording } from "../../support/recordings.ts";
import { USER_CONFIG } from "../../support/served-node.ts";

const config = parseUserConfig(USER_CONFIG);

/** The recorded answers of GET /access/permissions by token; without a token in the heading it was root@pam!agent. */
const recorded = [...readRecording("01-basic.txt"), ...readRecording("02-auth.txt")]
  .filter((exchange) => exchange.path === "/api2/json/access/permissions" && exchange.statusLine.includes("200"))
  .map((exchange): [string, string] => [/token (\S+)=/.exec(exchange.section)?.[1] ?? "root@pam!agent", exchange.body]);

describe("permissions as a real host listed them", () => {
  test("the recordings hold an answer for each kind of caller", () => {
    expect(recorded.map(([id]) => id).sort()).toEqual([
      "agent@pve!tok",
      "nobody@pve!tok",
      "op@pve!tok",
      "ro@pve!tok",
      "root@pam!agent",
      "root@pam!sep",
    ]);
  });

  test.each(recorded)("%s", (id, body) => {
    const [user = "", tokenId] = id.split("!");
    const listed = [...listPermissions(config, { user, tokenId })].map(([path, privileges]) => [
      path,
      Object.fromEntries([...privileges].map(([privilege, propagates]) => [privilege, propagates ? 1 : 0])),
    ]);
    expect(Object.fromEntries(listed)).toEqual(JSON.parse(body).data);
  });
});

describe("access control lists", () => {
  const withAcl = (...lines: readonly string[]): ReturnType<typeof parseUserConfig> =>
    parseUserConfig(
      [
        "user:u@pve:1:0::::::",
        "token:u@pve!plain:0:0::",
        "token:u@pve!sep:0:1::",
        "group:ops:u@pve::",
        "role:Power:VM.PowerMgmt:",
        "role:Look:VM.Audit:",
        ...lines,
      ].join("\n"),
    );
  const names = (acl: readonly string[], path: string, tokenId?: string): string[] =>
    [...privilegesOn(withAcl(...acl), { user: "u@pve", tokenId }, path).keys()].sort();

  const cases: readonly (readonly [string, { acl: string[]; path: string; token?: string; expected: string[] }])[] = [
    ["a propagating entry holds below", { acl: ["acl:1:/vms:u@pve:Look:"], path: "/vms/100", expected: ["VM.Audit"] }],
    ["one that does not propagate holds only where it is", { acl: ["acl:0:/vms:u@pve:Look:"], path: "/vms/100", expected: [] }],
    ["… and there it holds", { acl: ["acl:0:/vms:u@pve:Look:"], path: "/vms", expected: ["VM.Audit"] }],
    ["a nearer entry replaces the ones above", { acl: ["acl:1:/:u@pve:Look:", "acl:1:/vms/100:u@pve:Power:"], path: "/vms/100", expected: ["VM.PowerMgmt"] }],
    ["… and does not touch its neighbours", { acl: ["acl:1:/:u@pve:Look:", "acl:1:/vms/100:u@pve:Power:"], path: "/vms/101", expected: ["VM.Audit"] }],
    ["100 is not the parent of 1000", { acl: ["acl:1:/vms/100:u@pve:Look:"], path: "/vms/1000", expected: [] }],
    ["several roles at one path add up", { acl: ["acl:1:/vms:u@pve:Look,Power:"], path: "/vms", expected: ["VM.Audit", "VM.PowerMgmt"] }],
    ["a group's entry is its members'", { acl: ["acl:1:/vms:@ops:Look:"], path: "/vms", expected: ["VM.Audit"] }],
    ["a user's own entry goes before the group's", { acl: ["acl:1:/vms:@ops:Look:", "acl:1:/vms:u@pve:Power:"], path: "/vms", expected: ["VM.PowerMgmt"] }],
    ["NoAccess takes everything", { acl: ["acl:1:/:u@pve:Look:", "acl:1:/vms:u@pve:NoAccess,Power:"], path: "/vms/100", expected: [] }],
    ["a token without separation is its user", { acl: ["acl:1:/vms:u@pve:Look:"], path: "/vms", token: "plain", expected: ["VM.Audit"] }],
    ["a separated token has nothing of its own accord", { acl: ["acl:1:/vms:u@pve:Look:"], path: "/vms", token: "sep", expected: [] }],
    ["a separated token has what both have", { acl: ["acl:1:/vms:u@pve:Look:", "acl:1:/vms:u@pve!sep:Look,Power:"], path: "/vms/1", token: "sep", expected: ["VM.Audit"] }],
    ["a separated token is never more than its user", { acl: ["acl:1:/vms:u@pve!sep:Administrator:"], path: "/vms", token: "sep", expected: [] }],
    ["a token that does not exist has nothing", { acl: ["acl:1:/vms:u@pve:Look:"], path: "/vms", token: "gone", expected: [] }],
  ];
  test.each(cases)("%s", (_, { acl, path, token, expected }) => expect(names(acl, path, token)).toEqual(expected));

  test("root@pam has every privilege everywhere", () => {
    fc.assert(
      fc.property(fc.array(fc.stringMatching(/^[a-z0-9]+$/)), (parts) => {
        expect([...privilegesOn(config, { user: "root@pam", tokenId: undefined }, `/${parts.join("/")}`).keys()].sort()).toEqual(
          [...ALL_PRIVILEGES].sort(),
        );
      }),
    );
  });

  test("a separated token never has a privilege its user lacks", () => {
    const entry = fc.record({
      propagates: fc.constantFrom("0", "1"),
      path: fc.constantFrom("/", "/vms", "/vms/100", "/nodes"),
      subject: fc.constantFrom("u@pve", "u@pve!sep", "@ops"),
      role: fc.constantFrom("Look", "Power", "NoAccess", "PVEAuditor", "PVEVMAdmin"),
    });
    fc.assert(
      fc.property(fc.array(entry, { maxLength: 8 }), fc.constantFrom("/", "/vms", "/vms/100", "/nodes/pve1"), (entries, path) => {
        const acl = entries.map(({ propagates, path: at, subject, role }) => `acl:${propagates}:${at}:${subject}:${role}:`);
        const ofUser = names(acl, path);
        expect(names(acl, path, "sep").filter((privilege) => !ofUser.includes(privilege))).toEqual([]);
      }),
    );
  });
});

describe("a user.cfg that says more than is simulated is refused", () => {
  test.each([
    ["an unknown record", "pool:x::", "found \"pool:x::\""],
    ["an unknown role", "acl:1:/:u@pve:PVEPoolAdmin:", "\"PVEPoolAdmin\""],
    ["an unknown privilege", "role:Odd:VM.Fly:", "\"VM.Fly\""],
  ])("%s", (_, line, message) => expect(() => parseUserConfig(line)).toThrow(message));
});
