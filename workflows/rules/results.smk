# Scores over the slides, and the report; the same for both paths.
rule heatmap:
    input:
        scores=f"{OUT}/shards/{{shard}}/{{path}}-scores.csv",
        slides=f"{OUT}/shards/{{shard}}/usable.csv",
    output:
        f"{OUT}/shards/{{shard}}/{{path}}-heatmaps.csv",
    log:
        f"{OUT}/logs/heatmap/{{path}}-{{shard}}.log",
    params:
        run=RUNNER,
        scores=subpath(input.scores, strip_suffix=".csv"),
        options=config["options"]["heatmap"],
        out=f"{OUT}/{{path}}/heatmaps",
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        runtime=minutes(30, 5),
        gpu=0,
    conda:
        "../envs/histocnn.yaml"
    shell:
        "python {params.run:q} {input.scores:q} {output:q} {params.out:q} .png"
        " histocnn heatmap --scores {params.scores:q} --slides {input.slides:q}"
        " {params.options} --out {params.out:q} > {log:q} 2>&1"


# Each job sums up, but may see what ended on another node late; once all are done, one sees all.
rule slide_scores:
    input:
        made=f"{OUT}/complete/{{path}}-heatmaps.csv",
        slides=f"{OUT}/slides.csv",
    output:
        f"{OUT}/{{path}}/heatmaps/slides.csv",
    log:
        f"{OUT}/logs/slide_scores-{{path}}.log",
    params:
        options=config["options"]["heatmap"],
        scores=f"{OUT}/{{path}}/scores",
        out=subpath(output[0], parent=True),
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        runtime=30,
        gpu=0,
    conda:
        "../envs/histocnn.yaml"
    shell:
        "histocnn heatmap --scores {params.scores:q} --slides {input.slides:q}"
        " {params.options} --out {params.out:q} > {log:q} 2>&1"


rule evaluate:
    input:
        made=f"{OUT}/complete/{{path}}-heatmaps.csv",
        heatmaps=f"{OUT}/{{path}}/heatmaps/slides.csv",
        slides=f"{OUT}/slides.csv",
    output:
        f"{OUT}/{{path}}/report/report.html",
    log:
        f"{OUT}/logs/evaluate-{{path}}.log",
    params:
        # A CNN is judged on slides it has not seen; the k-NN leaves each slide's patient out.
        split=lambda wildcards: "--split test" if wildcards.path == "cnn" and not config["model"] else "",
        options=config["options"]["evaluate"],
        scores=f"{OUT}/{{path}}/scores",
        heatmaps=lambda wildcards, input: os.path.dirname(input.heatmaps),
        out=subpath(output[0], parent=True),
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 8000 * attempt,
        runtime=120,
        gpu=0,
    conda:
        "../envs/histocnn.yaml"
    shell:
        "histocnn evaluate --scores {params.scores:q} --slides {input.slides:q} {params.split}"
        " --heatmaps {params.heatmaps:q} {params.options} --out {params.out:q} > {log:q} 2>&1"
