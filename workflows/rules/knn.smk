# Features of slides and reference, then each slide labelled by its nearest labelled neighbours.
rule embed:
    input:
        patches=f"{OUT}/grids/{{slide}}.h5",
        row=f"{OUT}/rows/{{slide}}.csv",
        weights=WEIGHTS,
    output:
        f"{OUT}/knn/features/{{slide}}.h5",
    log:
        f"{OUT}/logs/embed/{{slide}}.log",
    params:
        backbone=config["backbone"],
        weights=config["weights"],
        options=config["options"]["embed"],
        out=subpath(output[0], parent=True),
    threads: 2
    resources:
        mem_mb=lambda wildcards, attempt: 6000 * attempt,
        runtime=120,
        gpu=min(1, config["gpu"]),
    conda:
        "../envs/histocnn.yaml"
    shell:
        "histocnn embed --patches {input.patches:q} --slides {input.row:q} --backbone {params.backbone:q}"
        " --weights {params.weights:q}"
        " --threads {threads} {params.options} --out {params.out:q} > {log:q} 2>&1"


rule reference:
    input:
        patches=REFERENCE or [],
        weights=WEIGHTS,
    output:
        f"{OUT}/knn/reference/{{name}}.h5",
    log:
        f"{OUT}/logs/reference/{{name}}.log",
    params:
        backbone=config["backbone"],
        weights=config["weights"],
        options=f"{config['options']['embed']} {config['options']['reference']}",
        out=subpath(output[0], parent=True),
    threads: 2
    resources:
        mem_mb=lambda wildcards, attempt: 6000 * attempt,
        runtime=240,
        gpu=min(1, config["gpu"]),
    conda:
        "../envs/histocnn.yaml"
    shell:
        "histocnn embed --patches {input.patches:q} --backbone {params.backbone:q}"
        " --weights {params.weights:q}"
        " --threads {threads} {params.options} --out {params.out:q} > {log:q} 2>&1"


rule neighbours:
    input:
        reference=reference_features,
        query=f"{OUT}/knn/features/{{slide}}.h5",
        row=f"{OUT}/rows/{{slide}}.csv",
    output:
        f"{OUT}/knn/scores/{{slide}}.h5",
    log:
        f"{OUT}/logs/neighbours/{{slide}}.log",
    params:
        k=config["neighbours"],
        options=config["options"]["knn"],
        reference=lambda wildcards, input: os.path.dirname(input.reference[0]),
        out=subpath(output[0], parent=True),
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=60,
        gpu=0,
    conda:
        "../envs/histocnn.yaml"
    shell:
        "histocnn knn --reference {params.reference:q} --query {input.query:q} --slides {input.row:q}"
        " --k {params.k} {params.options} --out {params.out:q} > {log:q} 2>&1"
