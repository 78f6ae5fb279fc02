# SPDX-FileCopyrightText: The Adit authors
# SPDX-License-Identifier: Apache-2.0
"""Private services behind the NATs of the kernel lab: bytes that have to come through, and what is done to the paths below."""
