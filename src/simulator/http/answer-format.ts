import type { ApiAnswer } from "../api.ts";
import { bodyless, type HttpResponse } from "./response.ts";

/**
 * Turns the host's answer into a response: /api2/json says everything by the HTTP status, /api2/extjs
 * (what Proxmox's own GUI uses) answers 200 and puts the status into the body.
 */

const FORMATS = ["json", "extjs"] as const;
export type Format = (typeof FORMATS)[number];

const JSON_TYPE = "application/json;charset=UTF-8";

export function isFormat(text: string): text is Format {
  return FORMATS.some((format) => format === text);
}

export function formatAnswer(answer: ApiAnswer, format: Format): HttpResponse {
  if (isSuccess(answer)) {
    const total = answer.total === undefined ? {} : { total: answer.total };
    const data = { data: answer.data ?? null, ...total };
    return json(200, "OK", format === "json" ? data : { success: 1, ...data }, answer.isProxied);
  }
  if (!answer.hasBody) return bodyless(answer.status, answer.reason);
  const message = answer.hasBareMessage === true ? answer.reason : `${answer.reason}\n`;
  const body = { message, data: null, ...(answer.errors === undefined ? {} : { errors: answer.errors }) };
  if (format === "json") return json(answer.status, answer.reason, body, answer.isProxied);
  return json(200, "OK", { success: 0, status: answer.status, ...body }, answer.isProxied);
}

function isSuccess(answer: ApiAnswer): answer is Extract<ApiAnswer, { readonly data: unknown }> {
  return "data" in answer;
}

function json(status: number, reason: string, body: unknown, isProxied: boolean): HttpResponse {
  return { status, reason, contentType: JSON_TYPE, body: JSON.stringify(body), isProxied };
}
