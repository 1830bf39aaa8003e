# SPDX-License-Identifier: Apache-2.0
# clickmill. `make run` is the way in; `make help` lists the rest.
.PHONY: help build run up test asan torture bench bench-dedup bench-dedup-100m bench-kafka bench-lake bench-spark bench-tables lint tidy fmt docs install clean
MAKEFLAGS += --no-print-directory
BIN = build/clickmill
# What `make run` shows: clicks of simulated shoppers become daily metrics, all under data/.
RUN_CMD = $(BIN) produce --seed 1 --events 100000 --duplicates 0.01 --late 0.01 --bad 0.002 && $(BIN) ingest --once && $(BIN) run && \
	$(BIN) status && $(BIN) sql "$(METRICS)"
METRICS = SELECT event_date, category, total_events, round(total_revenue, 2) AS total_revenue \
	FROM gold.clickstream_metrics ORDER BY event_date, category

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 14

build: ## build/clickmill
	@scripts/install-packages.sh build
	@[ -f build/build.ninja ] || meson setup build
	@ninja -C build clickmill

run: build ## install what is missing, build, and take 100,000 clicks through the whole pipeline
	@$(RUN_CMD)

up: build ## everything in one process, with simulated shoppers and the metrics on the screen
	@$(BIN) up --demo

test: ## every test there is; the last line says "N passed, N failed"
	@scripts/install-packages.sh test
	@scripts/test.py

asan: ## all tests of the program under AddressSanitizer and UndefinedBehaviorSanitizer
	@scripts/install-packages.sh test
	@scripts/test.py asan

torture: build ## 2,000 faults against a real Kafka broker: nothing lost, nothing twice (an hour)
	@scripts/install-packages.sh test
	@$$(scripts/venv.sh)/bin/python test/torture/torture.py $(TORTURE)

bench: build ## speed and memory against DuckDB's own statements, in one run, then Kafka, HDFS, S3, the table log and dedup (a quarter of an hour)
	@scripts/install-packages.sh test
	@ninja -C build bench >/dev/null
	@$$(scripts/venv.sh)/bin/python bench/run.py
	@$$(scripts/venv.sh)/bin/python bench/kafka.py
	@$$(scripts/venv.sh)/bin/python bench/lake.py
	@$$(scripts/venv.sh)/bin/python bench/dedup.py
	@bench/tables.py

bench-dedup: build ## silver's dedup of 100,000 events at 1 and 10 million known keys (a minute)
	@scripts/install-packages.sh test
	@ninja -C build bench >/dev/null
	@$$(scripts/venv.sh)/bin/python bench/dedup.py

bench-dedup-100m: build ## the same at 10 and 100 million (minutes; 12 GB of disk)
	@scripts/install-packages.sh test
	@ninja -C build bench >/dev/null
	@$$(scripts/venv.sh)/bin/python bench/dedup.py --sizes 10,100

bench-kafka: build ## Kafka to bronze: events a second, CPU by part, memory, freshness (minutes)
	@scripts/install-packages.sh test
	@ninja -C build bench >/dev/null
	@$$(scripts/venv.sh)/bin/python bench/kafka.py

bench-lake: build ## a file to HDFS and S3 and back, beside curl (a minute)
	@scripts/install-packages.sh test
	@ninja -C build bench >/dev/null
	@$$(scripts/venv.sh)/bin/python bench/lake.py

bench-tables: build ## the table log on local disk: commits, and opening what is large (minutes)
	@scripts/install-packages.sh test
	@ninja -C build bench >/dev/null
	@bench/tables.py

bench-spark: build ## Kafka to bronze beside Spark Structured Streaming (minutes; fetches Spark, 450 MB)
	@scripts/install-packages.sh test
	@ninja -C build bench >/dev/null
	@$$(scripts/venv.sh)/bin/python bench/spark.py --python $$(test/services/spark.sh python)

lint: ## the rules of the house: layers, foreign headers, format, sizes
	@scripts/install-packages.sh test
	@scripts/lint.py

tidy: ## clang-tidy (minutes)
	@scripts/install-packages.sh test
	@[ -f build-tidy/build.ninja ] || CC=clang meson setup build-tidy
	@ninja -C build-tidy src/version.h embedded.c
	@run-clang-tidy -quiet -p build-tidy "$(CURDIR)/(src|test)/.*"

fmt: ## format the C code
	@scripts/install-packages.sh test
	@find src test -name '*.[ch]' -exec clang-format -i {} +

docs: build ## write the man page and the pages of configuration, metrics, models and rules anew
	@mkdir -p man docs
	$(BIN) docs man >man/clickmill.1
	$(BIN) docs configuration >docs/configuration.md
	$(BIN) docs metrics >docs/metrics.md
	$(BIN) docs models >docs/models.md
	$(BIN) docs checks >docs/checks.md

install: build ## program, man page, completion; PREFIX with `meson configure build --prefix=…`
	@ninja -C build clickmill man/clickmill
	meson install -C build --no-rebuild

clean: ## what the build made; not data/
	rm -rf build build-asan build-tidy
