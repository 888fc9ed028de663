import { carriers } from "./carriers.ts";
import { describeContract } from "./describe-contract.ts";

describeContract(carriers.filter(({ traits }) => traits.httpVersion !== undefined));
