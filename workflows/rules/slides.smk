# The sheet's slides in shards: a sheet each, the doctor's verdict, and grids of the usable ones.
localrules:
    sheet,
    usable,
    complete,


# Every job reads its own shard's rows, so that another row's change does not concern it.
rule sheet:
    output:
        f"{OUT}/shards/{{shard}}/sheet.csv",
    log:
        f"{OUT}/logs/sheet/{{shard}}.log",
    params:
        lines=lambda wildcards: sheet_of(wildcards.shard),
    conda:
        "../envs/histocnn.yaml"
    shell:
        "printf '%s\\n' {params.lines:q} > {output:q} 2> {log:q}"


rule doctor:
    input:
        sheet=f"{OUT}/shards/{{shard}}/sheet.csv",
        files=lambda wildcards: files_of(wildcards.shard),
    output:
        findings=f"{OUT}/shards/{{shard}}/doctor.json",
        slides=f"{OUT}/shards/{{shard}}/usable.csv",
        unusable=f"{OUT}/shards/{{shard}}/unusable.csv",
    log:
        f"{OUT}/logs/doctor/{{shard}}.log",
    params:
        patch=PATCH,
        options=config["options"]["doctor"],
        split=SPLIT_BY_DOCTOR,
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        runtime=minutes(15, 2),
        gpu=0,
    conda:
        "../envs/histocnn.yaml"
    # An unusable slide is a finding, not a failure: only a doctor without findings has failed.
    shell:
        "{{ histocnn doctor --slides {input.sheet:q} {params.patch} {params.options} --json"
        " > {output.findings:q} || test -s {output.findings:q}; }} 2> {log:q};"
        " python {params.split:q} {input.sheet:q} {output.findings:q} {output.slides:q}"
        " {output.unusable:q} 2>> {log:q}"


rule usable:
    input:
        usable=listings("usable"),
        unusable=listings("unusable"),
    output:
        slides=f"{OUT}/slides.csv",
        unusable=f"{OUT}/unusable.csv",
    log:
        f"{OUT}/logs/usable.log",
    conda:
        "../envs/histocnn.yaml"
    script:
        "../scripts/merge.py"


rule tile:
    input:
        slides=f"{OUT}/shards/{{shard}}/usable.csv",
        files=lambda wildcards: files_of(wildcards.shard),
    output:
        f"{OUT}/shards/{{shard}}/grids.csv",
    log:
        f"{OUT}/logs/tile/{{shard}}.log",
    params:
        run=RUNNER,
        patch=PATCH,
        options=config["options"]["tile"],
        out=f"{OUT}/grids",
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        runtime=minutes(30, 10),
        gpu=0,
    conda:
        "../envs/histocnn.yaml"
    shell:
        "python {params.run:q} {input.slides:q} {output:q} {params.out:q} .h5"
        " histocnn tile --slides {input.slides:q} {params.patch} {params.options}"
        " --out {params.out:q} > {log:q} 2>&1"


# What needs all slides waits here; where one has failed, this fails, and the next run tries it.
rule complete:
    input:
        listings_of,
    output:
        f"{OUT}/complete/{{what}}.csv",
    log:
        f"{OUT}/logs/complete/{{what}}.log",
    retries: 0
    conda:
        "../envs/histocnn.yaml"
    script:
        "../scripts/complete.py"
