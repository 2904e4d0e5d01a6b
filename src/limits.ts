import { EVENT_COUNT_MAX, MESSAGE_LENGTH_MAX } from "./conditions/tracker.ts";
import { CONFIG_BYTES_MAX } from "./config/load.ts";
import type { AgentConfig } from "./config/types.ts";
import { TOKEN_FILE_BYTES_MAX } from "./config/token.ts";
import { RESTART_ANSWER_WAIT_MAX_MS } from "./control/app.ts";
import { CONTROL_ANSWER_TIMEOUT_MS } from "./control/client.ts";
import { PAUSE_DURATION_MAX_MS, REASON_LENGTH_MAX } from "./control/operator.ts";
import { CONTROL_BODY_BYTES_MAX } from "./control/socket.ts";
import { FILE_BYTES_MAX, FILES_MAX, SET_BYTES_MAX } from "./desired/directory-scan.ts";
import { GUESTS_PER_FILE_MAX } from "./desired/schema.ts";
import { DEPTH_MAX, NODES_MAX, PROBLEMS_MAX } from "./document/document.ts";
import { VALUE_LENGTH_MAX } from "./document/steps.ts";
import { TOKENS_MAX } from "./document/tokens.ts";
import { DEFAULT_LIMITS, DETAIL_CHARS_MAX } from "./journal/limits.ts";
import { QUEUED_PER_LANE_MAX } from "./lanes/lanes.ts";
import { CACHED_PLANS_MAX } from "./plan/plan-cache.ts";
import { DRIVES_REMEMBERED_MAX } from "./proxmox/cloud-init-drive.ts";
import { PIDS_CHECKED_PER_POLL_MAX } from "./proxmox/machine-pids.ts";
import { TCP_CONNECT_TIMEOUT_MS, TLS_HANDSHAKE_TIMEOUT_MS } from "./proxmox/connect.ts";
import { ANSWER_SIZE_MAX_BYTES } from "./proxmox/exchange.ts";
import { WAITING_REQUESTS_MAX } from "./proxmox/slots.ts";
import { TASK_ODD_ANSWERS_MAX, TASK_POLL_INTERVAL_MAX_MS } from "./proxmox/tasks.ts";
import { BODY_SIZE_MAX_BYTES, READ_ATTEMPTS_MAX } from "./proxmox/transport.ts";
import { REQUESTS_A_CONNECTION_MAX } from "./proxmox/verified-agent.ts";
import { CONFLICTS_MAX, ROUNDS_MAX } from "./reconcile/guest-job.ts";
import { CONCURRENT_LOOKS_MAX } from "./reconcile/guest-runner.ts";
import { ACTIVE_TASK_COUNT_MAX } from "./reconcile/host-source.ts";
import { REREADS_PER_POLL_MAX } from "./reconcile/read-cycle.ts";
import { REFUSED_WAIT_MAX_MS, SURROUNDINGS_WAIT_MAX_MS } from "./reconcile/refusals.ts";
import { START_TRIES_MAX } from "./reconcile/restart-finish.ts";
import { KEY_LENGTH_MAX, KEY_LIFE_MAX_MS } from "./reconcile/restart-request.ts";
import { HELD_LOOK_MAX_MS, WAITING_LOOK_MAX_MS } from "./reconcile/retries.ts";
import { RESTORE_ROUNDS_MAX } from "./reconcile/selftest.ts";
import { PROXMOX_LOCK_TIMEOUT_MS, SETTLE_MARGIN_MS, TASK_SEARCH_COUNT_MAX } from "./reconcile/settle.ts";
import { OWN_UPID_COUNT_MAX, SHUTDOWN_RETRY_MS } from "./reconcile/situations.ts";
import { STATUS_READS_PER_RESYNC_MAX } from "./reconcile/status-turns.ts";
import { FILE_ANSWER_TIMEOUT_MS } from "./runtime/file-probe.ts";
import { BACKOFF_WAIT_MAX_MS } from "./schedule/backoff.ts";
import { RESTART_WAIT_MAX_MS } from "./schedule/restarts.ts";
import { QUEUED_KEYS_MAX } from "./schedule/work-queue.ts";
import { HEALTH_BODY_BYTES_MAX } from "./server/listen.ts";

/**
 * Every bound a running agent works by, in one place: what `steward_limit` shows. Each room names and
 * reasons its own; here they get the names an operator sees. The last word of a name is its unit.
 * test/limits.test.ts notices a limit that a room exports and that is not here.
 */
export function limitsOf(config: AgentConfig): Readonly<Record<string, number>> {
  return { ...configured(config), ...OF_REQUESTS, ...OF_RECONCILING, ...OF_READING_FILES, ...OF_RECORDS };
}

/** What the settings say, and what follows from them. */
function configured(config: AgentConfig): Readonly<Record<string, number>> {
  const { requestTimeoutMs, maxConcurrentRequests } = config.proxmox;
  return {
    poll_interval_seconds: config.pollIntervalMs / 1000,
    resync_interval_seconds: config.resyncIntervalMs / 1000,
    request_timeout_seconds: requestTimeoutMs / 1000,
    settle_window_seconds: (requestTimeoutMs + PROXMOX_LOCK_TIMEOUT_MS + SETTLE_MARGIN_MS) / 1000,
    task_timeout_seconds: config.taskTimeoutMs / 1000,
    shutdown_timeout_seconds: config.shutdownTimeoutMs / 1000,
    concurrent_requests: maxConcurrentRequests,
    concurrent_acts: config.maxConcurrentActs,
    concurrent_starts: config.maxConcurrentStarts,
    affected_percent: config.maxAffectedPercent,
  };
}

const OF_REQUESTS = {
  waiting_requests: WAITING_REQUESTS_MAX,
  read_attempts: READ_ATTEMPTS_MAX,
  tcp_connect_timeout_seconds: TCP_CONNECT_TIMEOUT_MS / 1000,
  tls_handshake_timeout_seconds: TLS_HANDSHAKE_TIMEOUT_MS / 1000,
  connection_requests: REQUESTS_A_CONNECTION_MAX,
  request_body_bytes: BODY_SIZE_MAX_BYTES,
  answer_bytes: ANSWER_SIZE_MAX_BYTES,
  task_poll_interval_seconds: TASK_POLL_INTERVAL_MAX_MS / 1000,
  task_odd_answers: TASK_ODD_ANSWERS_MAX,
  control_answer_timeout_seconds: CONTROL_ANSWER_TIMEOUT_MS / 1000,
  control_body_bytes: CONTROL_BODY_BYTES_MAX,
  health_body_bytes: HEALTH_BODY_BYTES_MAX,
  restart_answer_wait_seconds: RESTART_ANSWER_WAIT_MAX_MS / 1000,
};

const OF_RECONCILING = {
  rereads_per_poll: REREADS_PER_POLL_MAX,
  processes_looked_at_per_poll: PIDS_CHECKED_PER_POLL_MAX,
  status_reads_per_resync: STATUS_READS_PER_RESYNC_MAX,
  concurrent_looks: CONCURRENT_LOOKS_MAX,
  reconcile_rounds: ROUNDS_MAX,
  digest_conflicts: CONFLICTS_MAX,
  queued_jobs: QUEUED_PER_LANE_MAX,
  queued_guests: QUEUED_KEYS_MAX,
  remembered_cloud_init_drives: DRIVES_REMEMBERED_MAX,
  cached_plans: CACHED_PLANS_MAX,
  active_tasks: ACTIVE_TASK_COUNT_MAX,
  searched_tasks: TASK_SEARCH_COUNT_MAX,
  remembered_tasks: OWN_UPID_COUNT_MAX,
  backoff_wait_seconds: BACKOFF_WAIT_MAX_MS / 1000,
  restart_starts: START_TRIES_MAX,
  restart_wait_seconds: RESTART_WAIT_MAX_MS / 1000,
  held_look_seconds: HELD_LOOK_MAX_MS / 1000,
  waiting_look_seconds: WAITING_LOOK_MAX_MS / 1000,
  refused_value_wait_seconds: REFUSED_WAIT_MAX_MS / 1000,
  refused_privilege_wait_seconds: SURROUNDINGS_WAIT_MAX_MS / 1000,
  shutdown_retry_seconds: SHUTDOWN_RETRY_MS / 1000,
  proxmox_lock_timeout_seconds: PROXMOX_LOCK_TIMEOUT_MS / 1000,
  selftest_restore_rounds: RESTORE_ROUNDS_MAX,
};

const OF_READING_FILES = {
  host_file_answer_timeout_seconds: FILE_ANSWER_TIMEOUT_MS / 1000,
  token_file_bytes: TOKEN_FILE_BYTES_MAX,
  settings_file_bytes: CONFIG_BYTES_MAX,
  desired_file_bytes: FILE_BYTES_MAX,
  desired_set_bytes: SET_BYTES_MAX,
  desired_files: FILES_MAX,
  desired_file_guests: GUESTS_PER_FILE_MAX,
  document_depth_levels: DEPTH_MAX,
  document_nodes: NODES_MAX,
  document_tokens: TOKENS_MAX,
  document_value_characters: VALUE_LENGTH_MAX,
  document_problems: PROBLEMS_MAX,
};

const OF_RECORDS = {
  journal_segment_bytes: DEFAULT_LIMITS.segmentBytes,
  journal_retained_bytes: DEFAULT_LIMITS.retainBytes,
  journal_retained_seconds: DEFAULT_LIMITS.retainMs / 1000,
  journal_record_bytes: DEFAULT_LIMITS.recordBytes,
  journal_queue_records: DEFAULT_LIMITS.queueRecords,
  journal_queue_bytes: DEFAULT_LIMITS.queueBytes,
  journal_recent_operations: DEFAULT_LIMITS.recentOperations,
  journal_keys: DEFAULT_LIMITS.keys,
  pause_seconds: PAUSE_DURATION_MAX_MS / 1000,
  reason_characters: REASON_LENGTH_MAX,
  key_characters: KEY_LENGTH_MAX,
  key_life_seconds: KEY_LIFE_MAX_MS / 1000,
  journal_remembered_verdicts: DEFAULT_LIMITS.verdicts,
  journal_detail_characters: DETAIL_CHARS_MAX,
  status_events: EVENT_COUNT_MAX,
  condition_message_characters: MESSAGE_LENGTH_MAX,
};
