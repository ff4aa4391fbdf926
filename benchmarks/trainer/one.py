"""One measurement in this process: ``python -m benchmarks.trainer.one NAME WIDTH PRECISION COMPILED SECONDS``."""

from __future__ import annotations

import json
import sys

from benchmarks.trainer.common import Setting, matmul_peak
from benchmarks.trainer.contenders import CONTENDERS
from trainer.process import settle

if __name__ == "__main__":
    name, width, precision, compiled, seconds = sys.argv[1:]
    settle(threads=1)
    rate = CONTENDERS[name](Setting(int(width), precision, compiled == "1", float(seconds)))
    print(json.dumps({"rate": rate, "peak": matmul_peak(precision)}))
