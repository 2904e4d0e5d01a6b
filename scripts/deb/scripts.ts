import {
  CONFIG_DIRECTORY, CONFIG_FILE, DESIRED_DIRECTORY, DESIRED_FILE, HOST_GROUP, RECORD_FILE, RUN_DIRECTORY, SERVICE_USER, STATE_DIRECTORY, TOKEN_FILE, UNIT_NAME,
} from "../../src/install/layout.ts";

/**
 * The package's maintainer scripts. They may run any number of times and on a machine without systemd;
 * DPKG_ROOT is set when dpkg installs into another tree.
 */

const START = "#!/bin/sh\nset -e\nroot=\"${DPKG_ROOT:-}\"\n";

const ENABLED_LINK = `/etc/systemd/system/multi-user.target.wants/${UNIT_NAME}`;

/** Makes the user and gives what came with the package to it; starts nothing that has no token yet. */
export const POSTINST = `${START}
case "$1" in
  configure)
    if ! grep -q '^${SERVICE_USER}:' "$root/etc/passwd"; then
      adduser --quiet --system --group --home ${STATE_DIRECTORY} --no-create-home --gecos "Steward agent" ${SERVICE_USER}
    fi
    # Proxmox VE's group for reading /etc/pve; elsewhere there is none, and nothing to read.
    if grep -q '^${HOST_GROUP}:' "$root/etc/group"; then
      adduser --quiet ${SERVICE_USER} ${HOST_GROUP} >/dev/null
    fi
    uid="$(sed -n 's/^${SERVICE_USER}:[^:]*:\\([0-9]*\\):.*/\\1/p' "$root/etc/passwd")"
    gid="$(sed -n 's/^${SERVICE_USER}:[^:]*:\\([0-9]*\\):.*/\\1/p' "$root/etc/group")"
    chown "0:$gid" "$root${CONFIG_DIRECTORY}" "$root${DESIRED_DIRECTORY}"
    chmod 0750 "$root${CONFIG_DIRECTORY}"
    chmod 2750 "$root${DESIRED_DIRECTORY}"
    for file in ${CONFIG_FILE} ${DESIRED_FILE}; do
      # Gone when somebody deleted it: that is theirs to decide.
      if [ -f "$root$file" ]; then chown "0:$gid" "$root$file"; chmod 0640 "$root$file"; fi
    done
    mkdir -p "$root${STATE_DIRECTORY}"
    chown "$uid:$gid" "$root${STATE_DIRECTORY}"
    chmod 0700 "$root${STATE_DIRECTORY}"
    if [ -z "$root" ] && [ -d /run/systemd/system ]; then
      systemctl daemon-reload
      # An upgrade restarts what runs; a first start waits until there is a token.
      systemctl try-restart ${UNIT_NAME}
    fi
    if [ ! -e "$root${TOKEN_FILE}" ]; then
      echo "steward: not started, it has no token yet: run \\"agent install --create-token\\" (on a Proxmox VE host)"
    fi
    ;;
esac
`;

/** Stops before the files go; an upgrade goes on running until the new ones are there. */
export const PRERM = `${START}
case "$1" in
  remove | deconfigure)
    if [ -z "$root" ] && [ -d /run/systemd/system ]; then
      systemctl disable --quiet --now ${UNIT_NAME} || true
    else
      rm -f "$root${ENABLED_LINK}"
    fi
    ;;
esac
`;

/** A purge takes all that the package and its agent made; declarations that people wrote stay. */
export const POSTRM = `${START}
if [ "$1" = remove ] && [ -z "$root" ] && [ -d /run/systemd/system ]; then
  systemctl daemon-reload || true
fi

if [ "$1" = purge ]; then
  rm -f "$root${ENABLED_LINK}" "$root${TOKEN_FILE}" "$root${RECORD_FILE}" "$root${CONFIG_FILE}.new" "$root${DESIRED_FILE}.new"
  rm -rf "$root${STATE_DIRECTORY}" "$root${RUN_DIRECTORY}"
  for directory in ${DESIRED_DIRECTORY} ${CONFIG_DIRECTORY}; do
    if [ -d "$root$directory" ]; then
      rmdir "$root$directory" 2>/dev/null || echo "steward: $directory stays: what is in it did not come with the package"
    fi
  done
  if grep -q '^${SERVICE_USER}:' "$root/etc/passwd"; then userdel ${SERVICE_USER} || true; fi
  if grep -q '^${SERVICE_USER}:' "$root/etc/group"; then groupdel ${SERVICE_USER} || true; fi
fi
`;
