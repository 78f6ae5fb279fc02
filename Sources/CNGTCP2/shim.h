// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0
#include <ngtcp2/ngtcp2.h>
#include <ngtcp2/ngtcp2_crypto.h>
