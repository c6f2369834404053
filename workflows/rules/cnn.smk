# Learn from the grids of the training slides, then score every slide with the result.
rule train:
    input:
        learn=grids_to_learn_from,
        test=grids_to_test_on,
        slides=ancient(f"{OUT}/slides.csv"),
        config=TRAINING,
    output:
        f"{OUT}/cnn/train/model.safetensors",
    log:
        f"{OUT}/logs/train.log",
    params:
        splits={slide: entry.split for slide, entry in SLIDES.items()},
        options=config["options"]["train"],
        grids=lambda wildcards, input: os.path.dirname(input.learn[0]),
        out=subpath(output[0], parent=True),
    threads: 4
    resources:
        mem_mb=lambda wildcards, attempt: 16000 * attempt,
        runtime=720,
        gpu=config["gpu"],
        attempt=lambda wildcards, attempt: attempt,
    conda:
        "../envs/histocnn.yaml"
    # A job lost with its node goes on from the last whole epoch; a new training begins anew.
    # Without SLURM_NTASKS Lightning starts a process per GPU itself instead of expecting srun's.
    shell:
        "test {resources.attempt} -gt 1 || rm -rf {params.out:q};"
        " env -u SLURM_NTASKS histocnn train --config {input.config:q} --data.patches {params.grids:q}"
        " --data.slides {input.slides:q} --out {params.out:q} --ckpt_path last"
        " {params.options} > {log:q} 2>&1"


rule predict:
    input:
        patches=f"{OUT}/grids/{{slide}}.h5",
        row=f"{OUT}/rows/{{slide}}.csv",
        model=MODEL,
    output:
        f"{OUT}/cnn/scores/{{slide}}.h5",
    log:
        f"{OUT}/logs/predict/{{slide}}.log",
    params:
        options=config["options"]["predict"],
        out=subpath(output[0], parent=True),
    threads: 2
    resources:
        mem_mb=lambda wildcards, attempt: 6000 * attempt,
        runtime=120,
        gpu=min(1, config["gpu"]),
    conda:
        "../envs/histocnn.yaml"
    shell:
        "histocnn predict --patches {input.patches:q} --slides {input.row:q} --model {input.model:q}"
        " --threads {threads} {params.options} --out {params.out:q} > {log:q} 2>&1"
