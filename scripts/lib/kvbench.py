"""Runs kvbench and reads its report."""

import json
import subprocess

from local_cluster import ClusterError, find_program


def kvbench(*words, timeout=900):
    """The report of `kvbench WORDS --json`, its exit code and what it said on standard error."""
    done = subprocess.run([find_program("kvbench"), *words, "--json"], capture_output=True, text=True, timeout=timeout)
    try:
        report = json.loads(done.stdout)
    except ValueError:
        raise ClusterError(f"kvbench {words[0]} said {(done.stdout + done.stderr).strip()[-500:]}") from None
    return report, done.returncode, done.stderr.strip()
