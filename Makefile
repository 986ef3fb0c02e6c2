# Every command a developer or CI needs. `make` alone lists them.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:

PLAYBOOK := ansible-playbook -i inventories/lab
# The lab's Python lives in lab/, the sample application in lab/app; ansible-lint and molecule look up tools in PATH.
export PYTHONPATH := $(CURDIR)/lab:$(CURDIR)/lab/app
export PATH := $(CURDIR)/.venv/bin:$(PATH)
# Ansible refuses to start where the locale is not UTF-8.
export LC_ALL := C.UTF-8

##@ Start here
.PHONY: demo
demo: setup lab-up  ## Bring the lab up, ship good and bad versions under live traffic, write the report
	@python -m churnguard_lab.demo

.PHONY: test
test:  ## Run every gate; stops at the first that fails and prints what ran
	@bash .ci/gates setup lint sanity lab-binaries lab-up beside:unit live molecule

.PHONY: help
help:  ## Show this list
	@awk 'BEGIN {FS = ":.*## "} \
	  /^##@ / {printf "\n%s\n", substr($$0, 5)} \
	  /^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

##@ The lab
.PHONY: setup
setup: venv  ## Install Python packages (.venv) and Debian packages; quick the second time
	@bash lab/install_packages

.PHONY: venv
venv:
	@bash .ci/setup

.PHONY: lab-binaries
lab-binaries: venv  ## Get or build the control plane and Prometheus (minutes, once)
	@python -m churnguard_lab.binaries

.PHONY: lab-up
lab-up: venv  ## Start the lab: Kubernetes, gateway, Prometheus, PostgreSQL, Redis, moto
	@python -m churnguard_lab.binaries >/dev/null  # by itself, because inside the playbook its progress is not seen
	@$(PLAYBOOK) playbooks/lab_up.yml

.PHONY: lab-down
lab-down: venv  ## Stop the lab; no process stays behind
	@$(PLAYBOOK) playbooks/lab_down.yml

.PHONY: bench-spine
bench-spine: venv  ## Measure the switch, the refusal, the second deploy and the lab's start (lab must be up)
	@python -m churnguard_lab.bench_spine

.PHONY: bench-delivery
bench-delivery: venv  ## Measure canaries, kill -9 at every write, and the judge (lab must be up; 90 minutes)
	@python -m churnguard_lab.bench_delivery

.PHONY: bench-recovery
bench-recovery: venv  ## Measure manifests, restores, drills and their cleanup (makes its own 5 GB; 25 minutes)
	@python -m churnguard_lab.bench_recovery

.PHONY: bench-observability
bench-observability: venv  ## Measure fault to notification, tests of alerts, panels, cost of rules (lab must be up; 30 minutes)
	@python -m churnguard_lab.bench_observability

.PHONY: pictures
pictures: venv  ## Draw the pictures of docs/delivery.md anew from the strategies' own plans
	@python -m churnguard_lab.pictures

##@ The gates, one by one
.PHONY: lint
lint: venv  ## ruff (rules and format) and ansible-lint, production profile
	@ruff check .
	@ruff format --check .
	@ansible-lint

.PHONY: sanity
sanity: venv  ## ansible-test sanity on the collection, no ignore file
	@bash .ci/sanity

.PHONY: unit
unit: venv  ## Tests that need no lab, four at a time: many wait more than they compute
	@python -m pytest -m 'not lab' -n 4 --dist loadscope

.PHONY: live
live: venv  ## Tests against the running lab (make lab-up first)
	@python -m pytest -m lab

.PHONY: molecule
molecule: venv  ## The blue-green journey on the lab: check, converge, idempotence, verify
	@molecule test --no-command-borders --scenario-name blue_green

.PHONY: clean
clean: lab-down  ## Stop the lab and remove its state, the caches and .venv (keeps reports/)
	@rm -rf .lab .cache .ansible .pytest_cache .ruff_cache .venv \
	  collections/ansible_collections/churnguard/ops/tests/output
