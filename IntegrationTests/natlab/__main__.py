# SPDX-FileCopyrightText: The Adit authors
# SPDX-License-Identifier: Apache-2.0
"""Entry of `python3 IntegrationTests/natlab COMMAND …`."""

import pathlib
import sys

# The folder itself would let its modules hide those of the standard library.
sys.path[0] = str(pathlib.Path(__file__).resolve().parent.parent)
sys.dont_write_bytecode = True

from natlab.main import main  # noqa: E402

sys.exit(main())
