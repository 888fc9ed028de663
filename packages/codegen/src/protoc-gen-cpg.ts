#!/usr/bin/env node
import { readFileSync } from "node:fs";
import { runNodeJs } from "@bufbuild/protoplugin";
import { createProtocGenCpg } from "./plugin.ts";

const { version }: { version: string } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8"));

runNodeJs(createProtocGenCpg(version));
