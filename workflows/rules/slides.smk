# The sheet's slides: a row each, the doctor's verdict, and grids of the usable ones.
localrules:
    row,
    usable,


# Every per-slide job reads its own row, so that another row's change does not concern it.
rule row:
    output:
        f"{OUT}/rows/{{slide}}.csv",
    log:
        f"{OUT}/logs/row/{{slide}}.log",
    params:
        lines=lambda wildcards: row_of(wildcards.slide),
    conda:
        "../envs/histocnn.yaml"
    shell:
        "printf '%s\\n' {params.lines:q} > {output:q} 2> {log:q}"


rule doctor:
    input:
        row=f"{OUT}/rows/{{slide}}.csv",
        files=lambda wildcards: files_of(wildcards.slide),
    output:
        f"{OUT}/doctor/{{slide}}.json",
    log:
        f"{OUT}/logs/doctor/{{slide}}.log",
    params:
        patch=PATCH,
        options=config["options"]["doctor"],
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        runtime=15,
        gpu=0,
    conda:
        "../envs/histocnn.yaml"
    # An unusable slide is a finding, not a failure: only a doctor without findings has failed.
    shell:
        "histocnn doctor --slides {input.row:q} {params.patch} {params.options} --json"
        " > {output:q} 2> {log:q} || test -s {output:q}"


checkpoint usable:
    input:
        rows=expand(f"{OUT}/rows/{{slide}}.csv", slide=SLIDES),
        findings=expand(f"{OUT}/doctor/{{slide}}.json", slide=SLIDES),
    output:
        slides=f"{OUT}/slides.csv",
        unusable=f"{OUT}/unusable.csv",
    log:
        f"{OUT}/logs/usable.log",
    conda:
        "../envs/histocnn.yaml"
    script:
        "../scripts/usable.py"


rule tile:
    input:
        row=f"{OUT}/rows/{{slide}}.csv",
        files=lambda wildcards: files_of(wildcards.slide),
    output:
        f"{OUT}/grids/{{slide}}.h5",
    log:
        f"{OUT}/logs/tile/{{slide}}.log",
    params:
        patch=PATCH,
        options=config["options"]["tile"],
        out=subpath(output[0], parent=True),
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        runtime=30,
        gpu=0,
    conda:
        "../envs/histocnn.yaml"
    shell:
        "histocnn tile --slides {input.row:q} {params.patch} {params.options}"
        " --out {params.out:q} > {log:q} 2>&1"
