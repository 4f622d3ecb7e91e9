/** Chinese texts of docs/configuration.zh-CN.md. */
import type { ReferenceTexts } from './configuration-reference.ts'
import type { Translation } from './translations.ts'

const introduction = `# gateway.yaml

[English](configuration.md) · 中文

所有配置项的参考。本页由 \`node scripts/generate.ts\` 根据 schema 生成。文件以下面这一行开头时，编辑器使用 \`config/gateway.schema.json\` 来提示和检查：

\`\`\`yaml
# yaml-language-server: $schema=./config/gateway.schema.json
\`\`\`

\`wxgate validate\` 一次列出文件中的所有错误，带行号、列号和修改提示，并检查 sqlite 存储能否写入。它不创建任何文件。

## 值的写法

文件是 YAML 1.2，读取很严格：未知的键、重复的键、类型不对的值、没有设置的变量都是错误。只有 \`apps\`、\`secrets\`、\`upstreams\` 和 \`routes\` 没有默认值。

| 类型 | 写法 |
|---|---|
| 时长 | 整数加 \`ms\`、\`s\`、\`m\`、\`h\` 或 \`d\`：\`10ms\`、\`30s\`、\`2h\`、\`30d\` |
| 大小 | 整数加 \`b\`、\`kb\`、\`mb\` 或 \`gb\`，1 kb 为 1024 字节：\`64kb\`、\`10mb\` |
| 文本 | 直接写；YAML 会当作其他类型时加引号：\`"1900000001"\` |
| 机密 | 文本，或 \`{ file: PATH }\`：文件的内容，不含末尾的换行。该文件变化后，像 gateway.yaml 变化一样重新加载 |
| 布尔 | \`true\` 或 \`false\`；\`yes\`、\`no\`、\`on\`、\`off\` 是文本 |

路径相对于 gateway.yaml 所在的目录。

### 变量

值里的 \`\${VAR}\` 会替换为同名环境变量；变量没有设置则是错误。\`\${VAR:-default}\` 在变量没有设置或为空时使用默认值，默认值到第一个 \`}\` 为止。\`$\${\` 表示普通的 \`\${\`。变量在文件解析之后才填入，只填入值，不填入键，所以变量的内容改变不了文件的结构。没有加引号的值会按该键的需要变成数字或布尔：\`port: \${PORT:-8080}\`。

### 有特殊含义的词

- \`secrets: [generated]\`：首次启动时生成的随机密钥，保存在 sqlite 文件旁边的 \`wxgate.secret\`（权限 0600）；使用内存存储时，重启后丢失。使用 Redis 时不允许，因为多个实例共用一个 Redis。
- \`apps[].secret: sandbox\`：只存在于沙箱中的小程序。所有小程序都这样写时，\`wechat.apiBase\` 变为 \`sandbox\`。

### 来自环境变量的默认值

有些键对应一个环境变量，例如 \`store\` 对应 \`WXGATE_STORE\`。文件里没有写这个键时，变量的值就是默认值；文件里写了则以文件为准。容器镜像把 \`WXGATE_STORE\` 设为它的数据卷。

### 需要按名字允许的设置

用 \`--allow NAME,NAME\` 或 \`WXGATE_ALLOW\` 允许。\`NODE_ENV=production\` 时，前三项未经允许会被拒绝；其余的是警告，\`wxgate validate --strict\` 把警告当作错误。

| 名字 | 允许的内容 |
|---|---|
| \`sandbox\` | 用沙箱代替微信 |
| \`generated-secrets\` | \`secrets: [generated]\` |
| \`memory-store\` | \`store: memory\` |
| \`service-public\` | 其他机器可以访问的内部监听 |
| \`plain-redis\` | 用 \`redis://\` 连接另一台机器 |
| \`public-catch-all\` | 同一个上游上，\`public\` 或 \`optional\` 的路由覆盖了更严格的路由 |
`

/** @param translations By path. */
export function createChinese(translations: ReadonlyMap<string, Translation>): ReferenceTexts {
  return {
    introduction,
    columns: ['键', '类型', '默认值', '说明'],
    describe: (path) => translations.get(path)?.zh ?? '',
    fromVariable: (name) => `设置了环境变量 \`${name}\` 时，默认值取自它。`,
    required: '必填',
    types: {
      secret: '机密',
      oneOrList: '对象，或对象列表',
      duration: '时长',
      size: '大小',
      mapping: '对象',
      mappings: '对象列表',
      text: '文本',
      boolean: '布尔',
      listOf: (item) => `列表：${item}`,
      mapOf: (value) => `映射：名字 → ${value}`,
      wholeNumber: (minimum, maximum) => `整数，${minimum} 至 ${maximum}`
    }
  }
}
