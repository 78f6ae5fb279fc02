# SPDX-FileCopyrightText: The Adit authors
# SPDX-License-Identifier: Apache-2.0
"""Two devices and a server in the kernel lab, with real programs: which path do they find, how fast, and what do they say?

`scenes.py` says between which sites and what has to come of it, `world.py` runs the programs, `outcome.py` judges.
"""
