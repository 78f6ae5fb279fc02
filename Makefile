# SPDX-FileCopyrightText: The Adit authors
# SPDX-License-Identifier: Apache-2.0

.DEFAULT_GOAL := help
.PHONY: help demo test build release lint bench grid rates load paths fuzz docs

help: ## what each target does
	@awk -F ': ## ' '/^[a-z]+: ## /{ printf "make %-9s %s\n", $$1, $$2 }' Makefile

demo: ## a server, a device and a page behind NAT on this machine, until Ctrl-C (ONCE=1: prove it and end)
	@ONCE=$(ONCE) dev/demo

test: ## unit, architecture and integration tests; without root, those with the NATs of the kernel are skipped
	@dev/test

build: ## the debug binary, .build/debug/adit
	@dev/build --product adit

release: ## one binary with the Swift runtime inside, dist/adit
	@dev/release

lint: ## format and syntax of every text
	@dev/lint

bench: ## what a tunnel costs in CPU and memory beside haproxy (QUICK=1, ONLY=bulk,http or stun, turn, p2p, JSON=FILE)
	@dev/bench $(if $(ONLY),--only $(ONLY)) $(if $(QUICK),--quick) $(if $(JSON),--json $(JSON))

grid: ## every pair of NAT kinds in the simulated internet against theory, punches and paths (SEEDS=20 PATHS=200)
	@$(or $(ADIT),dist/adit) lab grid --seeds $(or $(SEEDS),20)
	@$(or $(ADIT),dist/adit) lab grid --paths --seeds $(or $(PATHS),200)

rates: ## how often searches for ports succeed in the simulated internet, with the release binary (PLAYS=40)
	@$(or $(ADIT),dist/adit) lab rates --plays $(or $(PLAYS),40)

paths: ## two devices behind each pair of NATs of the real kernel, with the release binary (as root)
	@ADIT=$(or $(ADIT),dist/adit) python3 IntegrationTests/path_kernel.py --all

load: ## thousands of visitors and tunnels, restarts and frozen links, with the release binary
	@ADIT=$(or $(ADIT),dist/adit) python3 IntegrationTests/load.py --full

fuzz: ## each decoder for SECONDS=10 of random input (TARGET=Name for one)
	@dev/fuzz "$(or $(SECONDS),10)" "$(TARGET)"

docs: ## the rooms' pages as a web site, dist/docs
	@dev/docs
